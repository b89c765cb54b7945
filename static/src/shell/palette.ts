// The command palette: pages, objects and what can be done with them, found by typing. The server finds them, by role.
import { askHere } from "../live/ask";
import { fill, words } from "../words";
import { signedOut } from "./signed_out";
import { moved } from "./strokes";

interface Entry {
  label: string;
  /** What it is: "Page", "Network", "Action". */
  group: string;
  url: string;
  icon: string;
  /** It changes something: sent as a form, with the page's token. */
  post?: boolean;
}

const DEBOUNCE_MS = 120;

let entries: Entry[] = [];
let active = -1;
let timer = 0;
let asked = 0;

function parts(): { dialog: HTMLDialogElement; field: HTMLInputElement; list: HTMLElement; note: HTMLElement } | null {
  const dialog = document.getElementById("palette") as HTMLDialogElement | null;
  const field = dialog?.querySelector<HTMLInputElement>("input");
  const list = dialog?.querySelector<HTMLElement>("[role=listbox]");
  const note = dialog?.querySelector<HTMLElement>("[role=status]");
  return dialog && field && list && note ? { dialog, field, list, note } : null;
}

export function openPalette(): void {
  const found = parts();
  if (!found || found.dialog.open) return;
  found.field.value = "";
  found.dialog.showModal();
  void ask();
}

export function palette(): void {
  const found = parts();
  if (!found) return;
  const { dialog, field, list } = found;
  document.addEventListener("click", (event) => {
    const target = event.target as Element;
    if (target.closest("[data-palette]")) openPalette();
    const closer = target.closest("[data-close]");
    if (closer || target instanceof HTMLDialogElement) target.closest("dialog")?.close(); // outside: the dialog itself is hit
  });
  field.addEventListener("input", () => {
    window.clearTimeout(timer);
    timer = window.setTimeout(() => void ask(), DEBOUNCE_MS);
  });
  field.addEventListener("keydown", (event) => {
    if (event.isComposing) return; // a Chinese word is being typed
    if (event.key === "Enter") {
      event.preventDefault();
      take(entries[active]);
      return;
    }
    const next = moved(active, entries.length, event.key);
    if (next === active) return;
    event.preventDefault();
    choose(next);
  });
  list.addEventListener("click", (event) => {
    const option = (event.target as Element).closest<HTMLElement>("[role=option]");
    if (option) take(entries[Number(option.dataset["number"])]);
  });
  dialog.addEventListener("close", () => window.clearTimeout(timer));
}

async function ask(): Promise<void> {
  const found = parts();
  if (!found) return;
  const turn = ++asked;
  const query = found.field.value;
  const url = `${found.dialog.dataset["url"] ?? ""}?q=${encodeURIComponent(query)}`;
  const answer = await askHere(url).catch(() => null);
  if (answer?.type === "opaqueredirect") signedOut();
  const told = answer?.ok ? ((await answer.json()) as { entries: Entry[] }) : null;
  if (turn !== asked) return; // a later question is under way
  entries = told?.entries ?? [];
  draw(found.list);
  choose(entries.length ? 0 : -1);
  const sentence = told === null ? words()["paletteAway"] : entries.length ? words()["paletteFound"] : words()["paletteNone"];
  found.note.textContent = fill(sentence ?? "", { count: entries.length });
}

function draw(list: HTMLElement): void {
  list.replaceChildren(
    ...entries.map((entry, number) => {
      const option = document.createElement("li");
      option.id = `palette-${number}`;
      option.setAttribute("role", "option");
      option.dataset["number"] = String(number);
      const label = document.createElement("span");
      label.textContent = entry.label;
      const group = document.createElement("small");
      group.textContent = entry.group;
      option.append(picture(entry.icon), label, group);
      return option;
    }),
  );
}

function picture(name: string): SVGSVGElement {
  const space = "http://www.w3.org/2000/svg";
  const icon = document.createElementNS(space, "svg");
  icon.classList.add("icon");
  icon.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(space, "use");
  use.setAttribute("href", `${document.body.dataset["icons"] ?? ""}#${name}`);
  icon.append(use);
  return icon;
}

function choose(number: number): void {
  active = number;
  const found = parts();
  if (!found) return;
  for (const option of found.list.children) option.setAttribute("aria-selected", String(option.id === `palette-${number}`));
  const option = document.getElementById(`palette-${number}`);
  if (option) {
    found.field.setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
  } else found.field.removeAttribute("aria-activedescendant");
}

function take(entry: Entry | undefined): void {
  if (!entry) return;
  parts()?.dialog.close();
  if (!entry.post) {
    location.assign(entry.url);
    return;
  }
  const form = document.createElement("form");
  form.method = "post";
  form.action = entry.url;
  for (const name of ["csrfmiddlewaretoken", "page_host"]) {
    const field = document.querySelector<HTMLInputElement>(`input[name=${name}]`);
    if (field) form.append(field.cloneNode());
  }
  document.body.append(form);
  form.submit();
}
