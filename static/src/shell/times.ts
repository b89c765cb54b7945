// "3 minutes ago" is said by the server, and grows old on an open page: it is said again here, in the same words.

const STEPS: [unit: Intl.RelativeTimeFormatUnit, seconds: number][] = [
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];
const AGAIN_MS = 20_000;
/** Until then it is "just now", which the server has said. */
export const NOW_S = 10;

/** How long ago, in the words of a language; null: so short that the server's own words still hold. */
export function ago(seconds: number, language: string): string | null {
  const whole = Math.trunc(seconds);
  if (whole < NOW_S) return null;
  const [unit, size] = STEPS.find(([, size]) => whole >= size) ?? ["second", 1];
  return new Intl.RelativeTimeFormat(language, { numeric: "always" }).format(-Math.trunc(whole / size), unit);
}

export function times(): void {
  window.setInterval(() => {
    for (const time of document.querySelectorAll<HTMLTimeElement>("time[data-ago]")) {
      const said = ago((Date.now() - Date.parse(time.dateTime)) / 1000, document.documentElement.lang || "en");
      if (said !== null && time.textContent !== said) time.textContent = said;
    }
  }, AGAIN_MS);
}
