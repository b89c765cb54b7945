// Fields that count for some choices only are hidden for the others: data-shows on the choice, data-shown-by and data-when on them.

function show(choice: HTMLSelectElement): void {
  const name = choice.dataset["shows"] ?? "";
  for (const part of document.querySelectorAll<HTMLElement>(`[data-shown-by="${CSS.escape(name)}"]`)) {
    part.hidden = !(part.dataset["when"] ?? "").split(" ").includes(choice.value);
  }
}

export function install(): void {
  document.addEventListener("change", (event) => {
    const choice = event.target as HTMLElement;
    if (choice instanceof HTMLSelectElement && choice.dataset["shows"]) show(choice);
  });
  for (const choice of document.querySelectorAll<HTMLSelectElement>("select[data-shows]")) show(choice);
}
