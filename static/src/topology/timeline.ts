// The slider over what is kept of the past. It says which moment is shown and with which one that is compared; null is now.
import { fill, say } from "../words";
import { element, type Words } from "./elements";
import { ask, histogram, Refused, step, type Comparison, type Span, type Then } from "./past";

const SETTLE_MS = 200;
const BARS = 160;
const REFRESH_MS = 5000;
const EVERY_HOST = "*";

export interface Shown {
  then: Then | null;
  compared: Comparison | null;
  /** What there was at the other moment. */
  before: Then | null;
}

export interface Moments {
  /** ISO 8601; empty: now. */
  at: string;
  since: string;
}

export class Timeline {
  private span: Span | null = null;
  private timer = 0;
  private asked = 0;
  private readonly slider: HTMLInputElement;
  private readonly field: HTMLInputElement;
  private readonly compare: HTMLSelectElement;
  private readonly note: HTMLElement;

  constructor(
    private readonly place: HTMLElement,
    private readonly words: Words,
    private readonly moments: Moments,
    private readonly show: (shown: Shown) => void,
    private readonly wrote: () => void,
  ) {
    const part = <T extends Element>(selector: string): T => place.querySelector<T>(selector)!;
    this.slider = part("input[type=range]");
    this.field = part("input[type=datetime-local]");
    this.compare = part("select[name=compare]");
    this.note = part("[data-note]");
    this.slider.addEventListener("focus", () => void this.learn());
    this.slider.addEventListener("pointerdown", () => void this.learn());
    this.slider.addEventListener("input", () => this.slid());
    this.field.addEventListener("change", () => void this.learn().then(() => this.go(this.field.value ? new Date(this.field.value).getTime() : null)));
    this.compare.addEventListener("change", () => void this.learn().then(() => this.pick()));
    place.addEventListener("click", (event) => {
      const pressed = (event.target as Element).closest<HTMLElement>("[data-time]")?.dataset["time"];
      if (pressed === "now") this.live();
      else if (pressed) void this.learn().then(() => this.step(pressed === "next" ? 1 : -1));
    });
    const apart = moments.since ? Math.round(((this.at ?? Date.now()) - Date.parse(moments.since)) / 1000) : 0;
    if ([...this.compare.options].some((option) => Number(option.value) === apart)) this.compare.value = String(apart || "");
    if (moments.at || moments.since) void this.learn().then(() => this.load());
    else window.setTimeout(() => void this.learn(), 1500); // the picture first
  }

  /** Back to what is now. */
  live(): void {
    this.moments.at = "";
    this.moments.since = "";
    this.compare.value = "";
    void this.load();
  }

  private get at(): number | null {
    return this.moments.at ? Date.parse(this.moments.at) : null;
  }

  /** Ask how far the past reaches, now and then. */
  private async learn(): Promise<void> {
    if (this.span && Date.now() - Date.parse(this.span.now) < REFRESH_MS) return;
    const span = await ask<Span>("", {}).catch(() => null);
    if (!span?.points) return; // the next touch asks again
    this.span = span;
    const { oldest, now, points } = span;
    this.place.toggleAttribute("data-empty", oldest === null);
    const from = Date.parse(oldest ?? now);
    this.slider.min = String(from);
    this.slider.max = String(Math.max(Date.parse(now), from + 1000));
    this.slider.step = String(Math.max(1000, Math.round((Number(this.slider.max) - from) / 20_000 / 1000) * 1000));
    this.slider.value = String(this.at ?? this.slider.max);
    this.draw(histogram(points, from, Number(this.slider.max), BARS));
    this.tell();
  }

  private draw(parts: number[]): void {
    const most = Math.max(1, ...parts);
    const bars = parts.map((count, at) => (count ? `<rect x="${at}" y="${20 - (3 + (17 * count) / most)}" width="0.8" height="${3 + (17 * count) / most}"/>` : "")).join("");
    const drawn = new DOMParser().parseFromString(`<svg xmlns="http://www.w3.org/2000/svg">${bars}</svg>`, "image/svg+xml").documentElement;
    this.place.querySelector("svg.ticks")?.replaceChildren(...drawn.childNodes);
  }

  private slid(): void {
    if (!this.span) {
      void this.learn(); // until then its ends mean nothing
      return;
    }
    const value = Number(this.slider.value);
    this.moments.at = value >= Number(this.slider.max) ? "" : new Date(value).toISOString();
    this.tell();
    this.soon();
  }

  private go(time: number | null): void {
    this.moments.at = time === null || Number.isNaN(time) || time >= Date.now() ? "" : this.kept(time);
    this.slider.value = String(this.at ?? this.slider.max);
    this.soon();
  }

  /** To the state just after the next change, or just before the last one. */
  private step(direction: 1 | -1): void {
    const points = this.span?.points ?? [];
    const found = step(points, this.at ?? Date.now(), direction);
    if (found === null) {
      if (direction > 0) this.live();
      return;
    }
    this.go(direction > 0 ? found + 1 : found - 1);
  }

  /** That time, or where the past begins. */
  private kept(time: number): string {
    return new Date(Math.max(time, Date.parse(this.span?.oldest ?? "") || 0)).toISOString();
  }

  private pick(): void {
    const earlier = Number(this.compare.value);
    this.moments.since = earlier ? this.kept((this.at ?? Date.now()) - earlier * 1000) : "";
    this.soon();
  }

  private soon(): void {
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.load(), SETTLE_MS);
  }

  private async load(): Promise<void> {
    const asked = ++this.asked;
    if (this.moments.since && this.at !== null && this.at <= Date.parse(this.moments.since)) {
      this.moments.since = ""; // a moment is compared with an earlier one
      this.compare.value = "";
    }
    const { at, since } = this.moments;
    this.tell();
    this.wrote();
    let shown: Shown = { then: null, compared: null, before: null };
    try {
      const [then, compared, before] = await Promise.all([
        at ? ask<Then>("/state", { at }) : null,
        since ? ask<Comparison>("/changes", { host: EVERY_HOST, since, ...(at ? { at } : {}) }) : null,
        since ? ask<Then>("/state", { at: since }) : null,
      ]);
      shown = { then, compared, before };
    } catch (error) {
      if (asked !== this.asked) return;
      this.fail(error instanceof Refused ? error.message : (this.words["pastFailed"] ?? ""));
      return;
    }
    if (asked !== this.asked) return; // another moment was asked for meanwhile
    this.show(shown);
  }

  /** A moment that cannot be shown: what is shown stays marked, and nothing else takes its place. */
  private fail(sentence: string): void {
    const said = element("p", sentence, "note note-error");
    said.setAttribute("role", "alert");
    this.note.replaceChildren(said);
    this.note.hidden = false;
    this.place.dataset["failed"] = "";
  }

  private tell(): void {
    const past = this.at !== null;
    delete this.place.dataset["failed"];
    const time = past ? local(this.at!) : "";
    this.slider.setAttribute("aria-valuetext", past ? time : (this.words["now"] ?? ""));
    this.field.value = past ? forField(this.at!) : "";
    this.place.querySelector<HTMLElement>("[data-time=now]")?.toggleAttribute("hidden", !past && !this.moments.since);
    const text = past ? fill(this.words["pastNote"] ?? "", { time }) : this.moments.since ? fill(this.words["sinceNote"] ?? "", { time: local(Date.parse(this.moments.since)) }) : "";
    this.note.hidden = !text;
    if (this.note.textContent !== text) {
      this.note.replaceChildren(text);
      if (text) say(text);
    }
  }
}

export function local(time: number): string {
  return new Date(time).toLocaleString(document.documentElement.lang || undefined, { dateStyle: "medium", timeStyle: "medium" });
}

/** As a field for local time wants it. */
function forField(time: number): string {
  const date = new Date(time);
  return new Date(time - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
