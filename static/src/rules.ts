// A table of thousands of rules: rows stand in the page only where they are looked at. The table is cut into parts, a tbody each;
// a part that is far away is one empty row of its height, and its rows are asked for when it comes near. The page scrolls as ever.
import { morph } from "./htmx";
import { askHere } from "./live/ask";

const PART = 50;
const NEAR = "800px 0px";
const LEAST_GAP_MS = 400;
const AFTER_FAILURE_MS = 3000;
const RUSHING_BY_MS = 100;

interface Part {
  readonly body: HTMLTableSectionElement;
  readonly first: number;
  filled: boolean;
  near: boolean;
  asking: AbortController | null;
  stale: boolean;
}

class LongTable {
  private readonly parts = new Map<Element, Part>();
  private readonly observer = new IntersectionObserver((entries) => this.moved(entries), { rootMargin: NEAR });
  private rowHeight = 0;
  private timer = 0;

  constructor(private readonly table: HTMLTableElement) {
    const body = table.tBodies[0];
    const rows = body ? [...body.rows] : [];
    this.rowHeight = body && rows.length ? body.offsetHeight / rows.length : 40;
    const start = Number(table.dataset["first"] ?? "1");
    const found = Number(table.getAttribute("aria-rowcount")) - 1;
    const known = new Map(rows.map((row, at) => [start + at, row]));
    this.grow(found, known);
    body?.remove();
    if (start > 1) this.partOf(start)?.body.scrollIntoView();
    for (const part of this.parts.values()) this.observer.observe(part.body);
  }

  close(): void {
    this.observer.disconnect();
    window.clearTimeout(this.timer);
    for (const part of this.parts.values()) {
      part.near = false;
      part.asking?.abort();
    }
  }

  /** Rules or counters changed: what is in the page is asked for again, the rest when it comes near. */
  stale(): void {
    this.timer ||= window.setTimeout(() => {
      this.timer = 0;
      for (const part of this.parts.values()) if (part.near) void this.fill(part);
    }, LEAST_GAP_MS);
  }

  /** Make parts for `found` rows, or take away those that are too many. */
  private grow(found: number, known = new Map<number, HTMLTableRowElement>()): void {
    this.table.setAttribute("aria-rowcount", String(found + 1));
    const wanted = Math.ceil(found / PART);
    for (const part of [...this.parts.values()].slice(wanted)) {
      this.observer.unobserve(part.body);
      this.parts.delete(part.body);
      part.body.remove();
    }
    for (let at = this.parts.size; at < wanted; at++) {
      const body = document.createElement("tbody");
      const part: Part = { body, first: at * PART + 1, filled: false, near: false, asking: null, stale: false };
      const count = Math.min(PART, found - at * PART);
      const rows = Array.from({ length: count }, (_, row) => known.get(part.first + row)).filter((row) => row !== undefined);
      if (rows.length === count) {
        body.append(...rows);
        part.filled = true;
      } else this.leave(part, count * this.rowHeight);
      this.table.append(body);
      this.parts.set(body, part);
      if (!known.size) this.observer.observe(body);
    }
  }

  private partOf(row: number): Part | undefined {
    return [...this.parts.values()][Math.floor((row - 1) / PART)];
  }

  private moved(entries: IntersectionObserverEntry[]): void {
    for (const entry of entries) {
      const part = this.parts.get(entry.target);
      if (!part) continue;
      part.near = entry.isIntersecting;
      if (part.near) {
        if (!part.filled) this.later(part, RUSHING_BY_MS); // a leap to the end rushes by all parts
      } else {
        part.asking?.abort();
        part.asking = null;
        if (part.filled && !part.body.contains(document.activeElement)) this.leave(part, part.body.offsetHeight);
      }
    }
  }

  private leave(part: Part, height: number): void {
    const row = document.createElement("tr");
    row.className = "not-yet";
    row.setAttribute("aria-hidden", "true");
    const cell = row.insertCell();
    cell.colSpan = 5;
    cell.style.height = `${height}px`;
    part.body.replaceChildren(row);
    part.filled = false;
  }

  /** Ask for a part's rows. An answer under way is awaited: news that come faster than answers would end each before it is shown. */
  private async fill(part: Part): Promise<void> {
    if (part.asking) {
      part.stale = true;
      return;
    }
    const asking = (part.asking = new AbortController());
    part.stale = false;
    let failed = false;
    try {
      failed = !(await this.show(part, asking.signal));
    } catch {
      failed = true;
    }
    if (part.asking !== asking) return; // it went away meanwhile, and asks for itself when it comes near again
    part.asking = null;
    if (failed || part.stale) this.later(part, failed ? AFTER_FAILURE_MS : LEAST_GAP_MS);
  }

  private later(part: Part, ms: number): void {
    window.setTimeout(() => {
      if (part.near && part.body.isConnected) void this.fill(part);
    }, ms);
  }

  /** False: the server is in trouble, and is to be asked again. */
  private async show(part: Part, signal: AbortSignal): Promise<boolean> {
    const url = new URL(this.table.dataset["rows"] ?? "", location.href);
    url.searchParams.set("first", String(part.first));
    url.searchParams.set("last", String(part.first + PART - 1));
    const answer = await askHere(url, { signal });
    if (!answer.ok) return answer.status < 500 && answer.type !== "opaqueredirect";
    const text = await answer.text();
    const page = new DOMParser().parseFromString(`<table><tbody>${text}</tbody></table>`, "text/html");
    const fresh = page.querySelector("tbody");
    if (signal.aborted || !fresh || !part.body.isConnected) return true;
    if (part.filled) morph(part.body, fresh);
    else part.body.replaceChildren(...fresh.rows);
    part.filled = true;
    this.grow(Number(answer.headers.get("X-Found")));
    return true;
  }
}

let shown: LongTable | null = null;

/** A table as the server sends it has one body: it is new, or the page was morphed to it. */
function look(): void {
  const table = document.querySelector<HTMLTableElement>("table[data-rows]");
  if (table && table.tBodies.length > 1) return;
  shown?.close();
  shown = table ? new LongTable(table) : null;
}

export function install(): void {
  look();
  document.addEventListener("htmx:after:swap", look);
  document.addEventListener("cnm:refreshed", look);
  document.addEventListener("cnm:changed", (event) => {
    const kinds = (event as CustomEvent<string[] | null>).detail;
    if (kinds === null || kinds.some((kind) => kind === "firewall" || kind === "counters")) shown?.stale();
  });
}
