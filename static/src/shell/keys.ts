// Keys that work on every page; `?` lists them. The letters of pages stand at the links of the navigation (data-letter), those of
// what a page offers at its links and buttons (data-key).
import { changed } from "../live/refresh";
import { openPalette } from "./palette";
import { Strokes, type Meaning } from "./strokes";

const FIELDS = "input, textarea, select, [contenteditable]";

export function keys(): void {
  const strokes = new Strokes(document.body.dataset["keys"] !== "off");
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented) return;
    const { key, ctrlKey: ctrl, metaKey: meta, altKey: alt } = event;
    const target = event.target as HTMLElement;
    const typing = target.closest(FIELDS) !== null || document.querySelector("dialog[open]") !== null;
    const meaning = strokes.press({ key, ctrl, meta, alt, typing }, performance.now());
    if (meaning !== null && carryOut(meaning)) event.preventDefault();
  });
}

/** False: there is nothing here that the key could mean. */
function carryOut(meaning: NonNullable<Meaning>): boolean {
  switch (meaning.act) {
    case "palette":
      openPalette();
      return true;
    case "help":
      openHelp();
      return true;
    case "search":
      return search();
    case "go":
      return go(meaning.to);
    case "row":
      return toRow(meaning.by);
    case "select":
      return select();
    case "press":
      return meaning.key === "r" ? again() : press(meaning.key);
  }
}

/** What the page shows is fetched anew. */
function again(): boolean {
  changed(null);
  return true;
}

/** A link is followed; a button that changes something gets the focus, so that one stray key stops no container. */
function press(key: string): boolean {
  const offered = document.querySelector<HTMLElement>(`[data-key="${key}"]:not(:disabled)`);
  if (offered?.closest("form[method=post]")) offered.focus();
  else offered?.click();
  return offered !== null;
}

/** The links that lead to what the rows of the page's first list are about. */
function rowLinks(): HTMLElement[] {
  const list = document.querySelector("main .table-list");
  const rows = list?.querySelectorAll<HTMLElement>("tbody tr") ?? [];
  return [...rows].map((row) => row.querySelector<HTMLElement>("th a, a, button")).filter((link) => link !== null);
}

function toRow(by: 1 | -1): boolean {
  const links = rowLinks();
  const row = document.activeElement?.closest("tr");
  const at = links.findIndex((link) => link.closest("tr") === row);
  const next = links[at < 0 ? (by > 0 ? 0 : links.length - 1) : at + by];
  next?.focus();
  next?.closest("tr")?.scrollIntoView({ block: "nearest" });
  return next !== undefined;
}

/** The box of the row that has the focus. */
function select(): boolean {
  const box = document.activeElement?.closest("tr")?.querySelector<HTMLInputElement>("input[data-pick]") ?? null;
  box?.click();
  return box !== null;
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

/** The list of keys; those of pages are read off the navigation, those of what this page offers off the page. */
function openHelp(): void {
  const dialog = document.getElementById("keys") as HTMLDialogElement | null;
  const pages = dialog?.querySelector("[data-pages]");
  const offered = dialog?.querySelector("[data-offered]");
  if (!dialog || !pages || !offered || dialog.open) return;
  const links = [...document.querySelectorAll<HTMLElement>("#navigation a[data-letter]")];
  pages.replaceChildren(...links.map((link) => line(["g", link.dataset["letter"] ?? ""], link.querySelector("span")?.textContent)));
  const here = [...document.querySelectorAll<HTMLElement>("[data-key]:not(:disabled)")];
  offered.replaceChildren(...here.map((item) => line([item.dataset["key"] ?? ""], item.dataset["keySays"] ?? item.textContent)));
  dialog.querySelector<HTMLElement>("[data-rows-keys]")?.toggleAttribute("hidden", !rowLinks().length);
  dialog.showModal();
}

function line(strokes: string[], meaning: string | null | undefined): HTMLElement {
  const row = document.createElement("div");
  const keys = document.createElement("dt");
  for (const text of strokes) {
    const key = document.createElement("kbd");
    key.textContent = text;
    keys.append(key, " ");
  }
  const means = document.createElement("dd");
  means.textContent = (meaning ?? "").trim();
  row.append(keys, means);
  return row;
}
