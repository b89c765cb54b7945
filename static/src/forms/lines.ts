// A refusal that names a line of a text: the link goes there (data-to-line, with the text's id as its address).

/** Where line *number* (from 1) of *text* begins and ends. */
export function bounds(text: string, number: number): [number, number] {
  const lines = text.split("\n");
  const at = Math.min(Math.max(number, 1), lines.length);
  const start = lines.slice(0, at - 1).reduce((sum, line) => sum + line.length + 1, 0);
  return [start, start + (lines[at - 1]?.length ?? 0)];
}

export function install(): void {
  document.addEventListener("click", (event) => {
    const link = (event.target as Element).closest<HTMLAnchorElement>("a[data-to-line]");
    const area = link ? document.getElementById(decodeURIComponent(link.hash.slice(1))) : null;
    if (!link || !(area instanceof HTMLTextAreaElement)) return;
    event.preventDefault();
    const number = Number(link.dataset["toLine"]);
    area.focus();
    area.setSelectionRange(...bounds(area.value, number));
    const height = Number.parseFloat(getComputedStyle(area).lineHeight) || 20;
    area.scrollTop = Math.max(0, (number - 5) * height);
  });
}
