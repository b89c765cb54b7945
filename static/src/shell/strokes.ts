// What keys mean anywhere in the console. Pure: `keys.ts` carries it out.

export interface Stroke {
  key: string;
  ctrl: boolean;
  meta: boolean;
  alt: boolean;
  /** Whether it goes into a field. */
  typing: boolean;
}

export type Meaning =
  | { act: "palette" }
  | { act: "search" }
  | { act: "help" }
  | { act: "go"; to: string }
  | { act: "row"; by: 1 | -1 }
  | { act: "select" }
  | { act: "press"; key: string }
  | null;

/** How long "g" waits for the letter of a page. */
export const CHORD_MS = 1500;

export class Strokes {
  private begun = Number.NEGATIVE_INFINITY;

  /** `single`: whether keys without Ctrl or Cmd mean anything (WCAG 2.1.4: a person can turn them off). */
  constructor(private readonly single: boolean) {}

  press(stroke: Stroke, now: number): Meaning {
    if ((stroke.ctrl || stroke.meta) && !stroke.alt && stroke.key.toLowerCase() === "k") return { act: "palette" };
    if (!this.single || stroke.typing || stroke.ctrl || stroke.meta || stroke.alt) {
      this.begun = Number.NEGATIVE_INFINITY;
      return null;
    }
    if (now - this.begun <= CHORD_MS) {
      this.begun = Number.NEGATIVE_INFINITY;
      return /^[a-z]$/.test(stroke.key) ? { act: "go", to: stroke.key } : null;
    }
    if (stroke.key === "g") this.begun = now;
    if (stroke.key === "/") return { act: "search" };
    if (stroke.key === "?") return { act: "help" };
    if (stroke.key === "j") return { act: "row", by: 1 };
    if (stroke.key === "k") return { act: "row", by: -1 };
    if (stroke.key === "x") return { act: "select" };
    return /^[a-z]$/.test(stroke.key) && stroke.key !== "g" ? { act: "press", key: stroke.key } : null;
  }
}

/** Which of `count` items is the active one after a key; -1 where there is none. */
export function moved(active: number, count: number, key: string): number {
  if (!count) return -1;
  if (key === "ArrowDown") return (active + 1) % count;
  if (key === "ArrowUp") return (active - 1 + count) % count;
  if (key === "Home") return 0;
  if (key === "End") return count - 1;
  return active;
}
