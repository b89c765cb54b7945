// Words of the page in the reader's language, written by the server into a data block.
export interface Words {
  live: string;
  connecting: string;
  waiting: string;
  polled: string;
  paused: string;
  out: string;
  gone: string;
  changed: string;
  copied: string;
  [key: string]: string;
}

let known: Words | null = null;

export function words(): Words {
  if (!known) {
    const block = document.getElementById("words");
    known = JSON.parse(block?.textContent ?? "{}") as Words;
  }
  return known;
}

/** `{name}` places of a sentence, filled; numbers are written as the page's language does. */
export function fill(sentence: string, values: Record<string, string | number>, language = pageLanguage()): string {
  return sentence.replace(/\{(\w+)\}/g, (place, key: string) => {
    const value = values[key] ?? place;
    return typeof value === "number" ? value.toLocaleString(language) : value;
  });
}

function pageLanguage(): string | undefined {
  return typeof document === "undefined" ? undefined : document.documentElement.lang || undefined;
}

const GAP_MS = 5000;
let lastSaid = 0;
let pending = "";
let timer = 0;

/** Tell a screen reader, at most once in five seconds; the last word wins. `spoken` is called when it was told, and not if it was not. */
export function say(sentence: string, spoken?: () => void): void {
  pending = sentence;
  window.clearTimeout(timer);
  timer = window.setTimeout(
    () => {
      const region = document.getElementById("said");
      if (region) region.textContent = pending;
      lastSaid = performance.now();
      spoken?.();
    },
    Math.max(100, lastSaid + GAP_MS - performance.now()),
  );
}
