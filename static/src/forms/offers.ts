// What is free now, offered beside a field: one press fills it in (data-offer: the field's id, data-value: what).

export function install(): void {
  document.addEventListener("click", (event) => {
    const button = (event.target as Element).closest<HTMLElement>("[data-offer]");
    const field = button ? document.getElementById(button.dataset["offer"] ?? "") : null;
    if (!button || !(field instanceof HTMLInputElement)) return;
    field.value = button.dataset["value"] ?? "";
    field.focus();
    button.hidden = true;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.dispatchEvent(new Event("change", { bubbles: true }));
  });
}
