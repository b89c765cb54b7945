// Follows a container's log: the server streams lines, the page keeps the end in sight while the reader is at the end.
import { words } from "./words";

const KEPT_LINES = 5000;

class Follower {
  private stop: AbortController | null = null;

  constructor(
    private readonly log: HTMLElement,
    private readonly button: HTMLButtonElement,
    private readonly url: string,
  ) {
    button.addEventListener("click", () => (this.stop ? this.end() : void this.follow()));
    if (button.dataset["start"] === "1") void this.follow();
  }

  private end(): void {
    this.stop?.abort();
    this.stop = null;
    this.button.setAttribute("aria-pressed", "false");
  }

  private async follow(): Promise<void> {
    this.stop = new AbortController();
    this.button.setAttribute("aria-pressed", "true");
    try {
      const answer = await fetch(this.url, { signal: this.stop.signal });
      if (!answer.ok || !answer.body) throw new Error(String(answer.status));
      this.log.replaceChildren();
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        const lines = (rest + value).split("\n");
        rest = lines.pop() ?? "";
        this.write(lines);
      }
      this.note(words()["logEnd"] ?? "");
    } catch (error) {
      if ((error as Error).name !== "AbortError") this.note(words()["logGap"] ?? "");
    }
    this.end();
  }

  private write(lines: string[]): void {
    const atEnd = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 24;
    const fragment = document.createDocumentFragment();
    for (const line of lines) {
      const item = document.createElement("div");
      item.textContent = line || " ";
      fragment.append(item);
    }
    this.log.append(fragment);
    while (this.log.childElementCount > KEPT_LINES) this.log.firstElementChild?.remove();
    if (atEnd) this.log.scrollTop = this.log.scrollHeight;
  }

  private note(sentence: string): void {
    const item = document.createElement("div");
    item.className = "log-note";
    item.textContent = sentence;
    this.log.append(item);
  }
}

const log = document.getElementById("log");
const button = document.querySelector<HTMLButtonElement>("[data-follow]");
if (log && button) {
  log.scrollTop = log.scrollHeight;
  button.hidden = false;
  new Follower(log, button, button.dataset["follow"] ?? "");
}
