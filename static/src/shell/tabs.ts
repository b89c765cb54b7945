// A row of tabs that is wider than the screen shows the one that is open.
export function tabs(): void {
  show();
  window.addEventListener("resize", show);
}

function show(): void {
  for (const row of document.querySelectorAll<HTMLElement>(".tabs")) {
    const open = row.querySelector<HTMLElement>("[aria-current]");
    if (!open) continue;
    const [outer, inner] = [row.getBoundingClientRect(), open.getBoundingClientRect()];
    if (inner.left < outer.left || inner.right > outer.right) row.scrollLeft += inner.left + inner.width / 2 - (outer.left + outer.width / 2);
  }
}
