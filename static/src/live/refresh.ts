// Parts of a page that show live things name their kinds in data-live. When one of those changes, the page fetches itself once
// and the parts are morphed in place: focus, scroll, open details and typed text stay.
import { morph } from "../htmx";
import { signedOut } from "../shell/signed_out";
import { say, words } from "../words";
import { askHere } from "./ask";

const DEBOUNCE_MS = 120;
const LEAST_GAP_MS = 250;
const AFTER_FAILURE_MS = 3000;

let timer = 0;
let running = false;
let wanted: Set<string> | null = new Set();
let last = 0;

/** Some objects of these kinds changed; null: anything may have. */
export function changed(kinds: Iterable<string> | null): void {
  document.dispatchEvent(new CustomEvent("cnm:changed", { detail: kinds && [...kinds] }));
  if (kinds === null) wanted = null;
  else if (wanted) for (const kind of kinds) wanted.add(kind);
  if (!running && parts().length) schedule();
}

function schedule(gap = LEAST_GAP_MS): void {
  window.clearTimeout(timer);
  timer = window.setTimeout(() => void run(), Math.max(DEBOUNCE_MS, last + gap - performance.now()));
}

function parts(): HTMLElement[] {
  const kinds = wanted;
  return [...document.querySelectorAll<HTMLElement>("[data-live][id]")].filter(
    (part) => kinds === null || (part.dataset["live"] ?? "").split(" ").some((kind) => kinds.has(kind)),
  );
}

async function run(): Promise<void> {
  const due = parts();
  wanted = new Set();
  if (!due.length) return;
  running = true;
  last = performance.now();
  let failed = false;
  try {
    const address = location.href;
    const answer = await askHere(address);
    const text = answer.ok ? await answer.text() : "";
    // A form that filters may have led elsewhere meanwhile: what it shows is newer than this answer.
    if (location.href !== address) wanted = null;
    else if (answer.ok) replace(due, text);
    else if (answer.type === "opaqueredirect") signedOut();
    else if (answer.status === 404) gone();
    else failed = answer.status >= 500;
  } catch {
    failed = true;
  }
  running = false;
  if (failed) wanted = null; // the server is away or in trouble: what it would have shown is still to be fetched
  if (wanted === null || wanted.size) schedule(failed ? AFTER_FAILURE_MS : LEAST_GAP_MS);
}

function replace(due: HTMLElement[], text: string): void {
  const page = new DOMParser().parseFromString(text, "text/html");
  for (const part of due) {
    const fresh = page.getElementById(part.id);
    if (!fresh || !part.isConnected || part.isEqualNode(fresh)) continue;
    const before = marks(part);
    morph(part, fresh);
    flash(part, before);
  }
  document.dispatchEvent(new CustomEvent("cnm:refreshed"));
}

function marks(part: HTMLElement): Map<string, string> {
  const found = new Map<string, string>();
  for (const item of part.querySelectorAll<HTMLElement>("[data-mark][id]")) found.set(item.id, item.dataset["mark"] ?? "");
  return found;
}

/** What differs from before lights up for a moment (the style sheet leaves it out where motion is not wanted). */
function flash(part: HTMLElement, before: Map<string, string>): void {
  for (const item of part.querySelectorAll<HTMLElement>("[data-mark][id]")) {
    if (before.get(item.id) === item.dataset["mark"]) continue;
    item.classList.add("flash");
    window.setTimeout(() => item.classList.remove("flash"), 1200);
  }
}

function gone(): void {
  const main = document.querySelector("main");
  if (!main || main.querySelector(".gone")) return;
  const note = document.createElement("p");
  note.className = "note note-warn gone";
  note.setAttribute("role", "alert");
  note.textContent = words().gone;
  main.prepend(note);
  say(words().gone);
}
