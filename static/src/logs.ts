// Follows a container's log: the page keeps the end in sight while the reader is at the end, and comes back by itself where it was.
import { ofPage } from "./live/ask";
import { wait } from "./live/line";
import { Reader, type Batch, type Line } from "./logs/stream";
import { fill, words } from "./words";

const KEPT_LINES = 10_000;
const SILENCE_MS = 25_000;
const TIMES = "cnm-log-times";

class Follower {
  private readonly reader = new Reader();
  private stop: AbortController | null = null;
  private timer = 0;
  private failures = 0;

  constructor(
    private readonly log: HTMLElement,
    private readonly button: HTMLButtonElement,
    private readonly search: Search,
    private readonly tail: () => string,
  ) {
    button.addEventListener("click", () => (this.follows ? this.end() : this.begin()));
    if (button.dataset["start"] === "1") this.begin();
  }

  /** Everything anew, with another number of lines. */
  again(): void {
    this.end();
    this.reader.place = "";
    this.begin();
  }

  private get follows(): boolean {
    return this.button.getAttribute("aria-pressed") === "true";
  }

  private begin(): void {
    this.button.setAttribute("aria-pressed", "true");
    void this.follow();
  }

  private end(): void {
    window.clearTimeout(this.timer);
    this.stop?.abort();
    this.stop = null;
    this.button.setAttribute("aria-pressed", "false");
  }

  private async follow(): Promise<void> {
    const stop = (this.stop = new AbortController());
    const address = new URL(this.button.dataset["follow"] ?? "", location.href);
    address.searchParams.set("tail", this.tail());
    if (this.reader.place) address.searchParams.set("since", this.reader.place);
    let fresh = !this.reader.place;
    try {
      const answer = await fetch(address, { headers: ofPage(), signal: stop.signal });
      if (!answer.ok || !answer.body) throw new Error(String(answer.status));
      const source = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await this.alive(source.read(), stop);
        if (done) throw new Error("it broke");
        for (const batch of this.reader.feed(value)) {
          if (fresh) this.log.replaceChildren();
          fresh = false;
          if (this.take(batch)) return;
        }
      }
    } catch {
      this.reader.broken();
      if (this.stop === stop && this.follows) this.later();
    }
  }

  /** The server says something every ten seconds; a line that is silent for longer is broken, whatever the browser believes. */
  private async alive<T>(read: Promise<T>, stop: AbortController): Promise<T> {
    const timer = window.setTimeout(() => stop.abort(), SILENCE_MS);
    try {
      return await read;
    } finally {
      window.clearTimeout(timer);
    }
  }

  private later(): void {
    const ms = wait(this.failures, Math.random());
    this.failures += 1;
    this.note(fill(words()["logBroke"] ?? "", { seconds: Math.ceil(ms / 1000) }), "broke");
    this.timer = window.setTimeout(() => void this.follow(), ms);
  }

  /** Whether that was the end. */
  private take(batch: Batch): boolean {
    this.failures = 0;
    for (const note of this.log.querySelectorAll(".log-note[data-kind=broke]")) note.remove();
    if (batch.gap) this.note(words()["logGap"] ?? "");
    if (batch.lines?.length) this.write(batch.lines);
    if (!batch.end) return false;
    this.note(words()["logEnd"] ?? "");
    this.end();
    return true;
  }

  private write(lines: Line[]): void {
    const atEnd = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 24;
    const fragment = document.createDocumentFragment();
    for (const [time, stream, text] of lines.slice(-KEPT_LINES)) {
      const item = document.createElement("div");
      item.textContent = text || " ";
      item.dataset["time"] = time;
      if (stream === "stderr") item.className = "stderr";
      this.search.judge(item);
      fragment.append(item);
    }
    this.log.append(fragment);
    while (this.log.childElementCount > KEPT_LINES) this.log.firstElementChild?.remove();
    this.search.count();
    showTimes(this.log);
    if (atEnd) this.log.scrollTop = this.log.scrollHeight;
  }

  private note(sentence: string, kind = ""): void {
    const item = document.createElement("div");
    item.className = "log-note";
    item.dataset["kind"] = kind;
    item.textContent = sentence;
    this.log.append(item);
    this.log.scrollTop = this.log.scrollHeight;
  }
}

/** Shows only the lines that hold what is typed. */
class Search {
  private wanted = "";

  constructor(
    private readonly log: HTMLElement,
    private readonly box: HTMLInputElement,
    private readonly said: HTMLElement,
  ) {
    box.addEventListener("input", () => {
      this.wanted = box.value.toLowerCase();
      for (const line of log.querySelectorAll<HTMLElement>(":scope > [data-time]")) this.judge(line);
      this.count();
    });
  }

  judge(line: HTMLElement): void {
    line.hidden = this.wanted !== "" && !(line.textContent ?? "").toLowerCase().includes(this.wanted);
  }

  count(): void {
    const found = this.log.querySelectorAll(":scope > [data-time]:not([hidden])").length;
    this.said.textContent = this.box.value ? fill(words()["logFound"] ?? "", { count: found }) : "";
  }
}

/** Local times of day beside the lines, by the style sheet, so that they are neither searched nor copied. */
function showTimes(log: HTMLElement): void {
  if (!log.classList.contains("timed")) return;
  for (const line of log.querySelectorAll<HTMLElement>(":scope > [data-time]:not([data-shown])")) {
    const time = new Date(line.dataset["time"] ?? "");
    const text = Number.isNaN(time.getTime()) ? "" : `${time.toLocaleTimeString("en-GB")}.${String(time.getMilliseconds()).padStart(3, "0")}`;
    line.dataset["shown"] = text;
  }
}

function times(log: HTMLElement, button: HTMLElement): void {
  const show = (on: boolean): void => {
    log.classList.toggle("timed", on);
    button.setAttribute("aria-pressed", String(on));
    showTimes(log);
  };
  show(localStorage.getItem(TIMES) === "1");
  button.addEventListener("click", () => {
    const on = !log.classList.contains("timed");
    localStorage.setItem(TIMES, on ? "1" : "0");
    show(on);
  });
}

function begin(): void {
  const log = document.getElementById("log");
  const button = document.querySelector<HTMLButtonElement>("[data-follow]");
  const box = document.querySelector<HTMLInputElement>("#log-search");
  const said = document.getElementById("log-found");
  const tail = document.querySelector<HTMLSelectElement>("#log-tail");
  const timed = document.getElementById("log-times");
  if (!log || !button || !box || !said || !tail || !timed) return;
  log.scrollTop = log.scrollHeight;
  times(log, timed);
  const follower = new Follower(log, button, new Search(log, box, said), () => tail.value);
  tail.addEventListener("change", () => follower.again());
}

begin();
