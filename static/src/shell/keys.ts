// Keys that work on every page; `?` lists them. The letters of pages stand at the links of the navigation.
import { openPalette } from "./palette";
import { Strokes } from "./strokes";

const FIELDS = "input, textarea, select, [contenteditable]";

export function keys(): void {
  const strokes = new Strokes(document.body.dataset["keys"] !== "off");
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented) return;
    const { key, ctrlKey: ctrl, metaKey: meta, altKey: alt } = event;
    const target = event.target as HTMLElement;
    const typing = target.closest(FIELDS) !== null || document.querySelector("dialog[open]") !== null;
    const meaning = strokes.press({ key, ctrl, meta, alt, typing }, performance.now());
    if (meaning === null) return;
    if (meaning.act === "palette") openPalette();
    else if (meaning.act === "help") openHelp();
    else if (meaning.act === "search" ? !search() : !go(meaning.to)) return;
    event.preventDefault();
  });
}

function go(letter: string): boolean {
  const link = document.querySelector<HTMLAnchorElement>(`#navigation a[data-letter="${letter}"]`);
  link?.click();
  return link !== null;
}

function search(): boolean {
  const field = document.querySelector<HTMLInputElement>("main input[type=search]");
  field?.focus();
  field?.select();
  return field !== null;
}

/** The list of keys; those of pages are read off the navigation. */
function openHelp(): void {
  const dialog = document.getElementById("keys") as HTMLDialogElement | null;
  const list = dialog?.querySelector("[data-pages]");
  if (!dialog || !list || dialog.open) return;
  list.replaceChildren(
    ...[...document.querySelectorAll<HTMLAnchorElement>("#navigation a[data-letter]")].map((link) => {
      const row = document.createElement("div");
      const keys = document.createElement("dt");
      for (const text of ["g", link.dataset["letter"] ?? ""]) {
        const key = document.createElement("kbd");
        key.textContent = text;
        keys.append(key, " ");
      }
      const means = document.createElement("dd");
      means.textContent = link.querySelector("span")?.textContent ?? "";
      row.append(keys, means);
      return row;
    }),
  );
  dialog.showModal();
}
