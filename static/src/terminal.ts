// A terminal in a container: the kit draws it, the link carries its bytes.
import { FitAddon } from "@xterm/addon-fit";
import { Terminal, type ITheme } from "@xterm/xterm";
import { Link, type Screen, type Size, type Status } from "./terminal/link";
import { styleByObject, withOwnSheets } from "./terminal/styles";
import { fill } from "./words";

const READER = "cnm-terminal-reader";
const encoder = new TextEncoder();

function wordsOf(id: string): Record<string, string> {
  return JSON.parse(document.getElementById(id)?.textContent ?? "{}") as Record<string, string>;
}

/** Dark or light as the page is; the sixteen colours are readable on either. */
function theme(): ITheme {
  const style = getComputedStyle(document.documentElement);
  const read = (name: string): string => style.getPropertyValue(`--cnm-${name}`).trim();
  return {
    background: read("surface"),
    foreground: read("ink"),
    cursor: read("ink"),
    cursorAccent: read("surface"),
    selectionBackground: read("focus"),
    selectionForeground: read("surface"),
  };
}

class Place implements Screen {
  private readonly words = wordsOf("terminal-words");
  private readonly terminal = new Terminal({
    cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches,
    fontFamily: getComputedStyle(document.documentElement).getPropertyValue("--tblr-font-monospace") || "monospace",
    fontSize: 13,
    minimumContrastRatio: 4.5,
    scrollback: 5000,
    screenReaderMode: localStorage.getItem(READER) === "1",
    theme: theme(),
  });
  private readonly fitting = new FitAddon();
  private readonly link: Link;
  private old = 0;

  constructor(
    private readonly element: HTMLElement,
    private readonly state: HTMLElement,
  ) {
    this.terminal.loadAddon(this.fitting);
    withOwnSheets(() => this.terminal.open(element));
    this.terminal.textarea?.setAttribute("aria-label", this.words["input"] ?? "");
    this.fitting.fit();
    const url = new URL(element.dataset["url"] ?? "", location.href.replace(/^http/, "ws")).href;
    this.link = new Link(url, this);
    this.terminal.onData((data) => this.typed(encoder.encode(data)));
    this.terminal.onBinary((data) => this.typed(Uint8Array.from(data, (letter) => letter.charCodeAt(0))));
    this.terminal.onResize(() => this.link.resize());
    this.terminal.attachCustomKeyEventHandler((event) => this.isForTheProgram(event));
    new ResizeObserver(() => this.fitting.fit()).observe(element);
    new MutationObserver(() => this.recolour()).observe(document.documentElement, { attributeFilter: ["data-bs-theme"] });
    this.readerButton();
    window.addEventListener("online", () => this.link.hurry());
    this.link.start();
  }

  size(): Size {
    return { columns: this.terminal.cols, rows: this.terminal.rows };
  }

  restart(cut: boolean): void {
    this.terminal.reset();
    if (cut) this.terminal.write(`\x1b[2m${this.words["cut"] ?? ""}\x1b[0m\r\n`);
  }

  output(data: Uint8Array, old: boolean): void {
    if (old) this.old += 1;
    this.terminal.write(data, () => {
      if (old) this.old -= 1;
      this.link.shown(data.length);
    });
  }

  status(status: Status): void {
    const on = status.state === "connected";
    this.terminal.options.disableStdin = !on;
    this.element.dataset["state"] = status.state;
    this.state.dataset["state"] = status.state;
    this.state.textContent = this.sentence(status);
    if (on && (document.activeElement === document.body || document.activeElement === null)) this.terminal.focus();
  }

  private sentence(status: Status): string {
    if (status.state === "refused") return status.words;
    if (status.state === "ended") {
      const ended = fill(this.words["ended"] ?? "", { code: status.code });
      return `${ended} ${this.words[`reason.${status.reason}`] ?? ""}`.trim();
    }
    return fill(this.words[status.state] ?? status.state, { seconds: status.state === "waiting" ? status.seconds : 0 });
  }

  /** Programs' questions in old output were answered when it was new. */
  private typed(data: Uint8Array): void {
    if (!this.old) this.link.type(data);
  }

  private isForTheProgram(event: KeyboardEvent): boolean {
    if (event.type !== "keydown" || !event.ctrlKey) return true;
    if (event.key === "F6") {
      this.terminal.blur();
      document.querySelector<HTMLElement>("#terminals a, #terminals button, #main")?.focus();
      event.preventDefault();
      return false;
    }
    if (event.shiftKey && event.key.toLowerCase() === "c" && this.terminal.hasSelection()) {
      void navigator.clipboard.writeText(this.terminal.getSelection());
      event.preventDefault();
      return false;
    }
    return !(event.shiftKey && event.key.toLowerCase() === "v"); // the browser pastes
  }

  private recolour(): void {
    this.terminal.options.theme = theme();
  }

  private readerButton(): void {
    const button = document.getElementById("terminal-read");
    const show = (): void => button?.setAttribute("aria-pressed", String(this.terminal.options.screenReaderMode));
    show();
    button?.addEventListener("click", () => {
      this.terminal.options.screenReaderMode = !this.terminal.options.screenReaderMode;
      localStorage.setItem(READER, this.terminal.options.screenReaderMode ? "1" : "0");
      show();
      this.terminal.focus();
    });
  }
}

const element = document.getElementById("terminal");
const state = document.getElementById("terminal-state");
if (element && state) {
  styleByObject();
  new Place(element, state);
}
