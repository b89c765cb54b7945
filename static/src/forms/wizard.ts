// A form in steps (data-wizard, data-at, data-step): one is shown at a time. Without script all of them stand below one another.

function go(form: HTMLElement, number: string): void {
  const heading = form.querySelector<HTMLElement>(`[data-step="${CSS.escape(number)}"] h2`);
  const field = form.querySelector<HTMLInputElement>("input[name=at]");
  if (!heading || !field) return;
  form.dataset["at"] = number;
  field.value = number;
  for (const button of form.querySelectorAll(".wizard [data-to-step]")) {
    if ((button as HTMLElement).dataset["toStep"] === number) button.setAttribute("aria-current", "step");
    else button.removeAttribute("aria-current");
  }
  heading.focus();
}

export function install(): void {
  document.addEventListener("click", (event) => {
    const target = event.target as Element;
    const button = target.closest<HTMLElement>("[data-to-step]");
    const form = target.closest<HTMLElement>("[data-wizard]");
    if (!form) return;
    if (button) go(form, button.dataset["toStep"] ?? "");
    const link = target.closest<HTMLAnchorElement>("a[href^='#f-']");
    const field = link ? document.getElementById(decodeURIComponent(link.hash.slice(1))) : null;
    const step = field?.closest<HTMLElement>("[data-step]");
    if (step && field) {
      event.preventDefault();
      go(form, step.dataset["step"] ?? "");
      field.focus();
    }
  });
  document.addEventListener("keydown", (event) => {
    const form = document.querySelector<HTMLElement>("[data-wizard]");
    if (!form || !event.altKey || (event.key !== "ArrowLeft" && event.key !== "ArrowRight")) return;
    event.preventDefault();
    go(form, String(Number(form.dataset["at"]) + (event.key === "ArrowRight" ? 1 : -1)));
  });
}
