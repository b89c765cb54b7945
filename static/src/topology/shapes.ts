// The small shapes of the picture, on a pen.
import type { Box } from "./layout";
import type { Palette } from "./palette";

type Pen = CanvasRenderingContext2D;

export function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), Math.max(least, most));
}

export function rounded(pen: Pen, box: Box, radius: number): void {
  pen.beginPath();
  pen.roundRect(box.x, box.y, box.width, box.height, radius);
}

export function arrow(pen: Pen, x: number, y: number, direction: 1 | -1): void {
  pen.beginPath();
  pen.moveTo(x, y);
  pen.lineTo(x - 7 * direction, y - 4);
  pen.lineTo(x - 7 * direction, y + 4);
  pen.fill();
}

/** What a mark of state is made of: an outline, filled or drawn, and an icon in it. The path's data are around 0, 0. */
export interface Mark {
  tone: "good" | "bad" | "warn" | "idle";
  filled: boolean;
  outline: string;
  /** Cut out of what is filled, drawn into what is not; empty: none. */
  icon: string;
}

const DISC = "M7 0A7 7 0 1 1 -7 0A7 7 0 1 1 7 0Z";
const MOST_OF_A_RING = "M0 -6A6 6 0 1 1 -6 0";
const SQUARE = "M-5.5 -5.5H5.5V5.5H-5.5Z";
const TRIANGLE = "M0 -7L7.5 6H-7.5Z";
const PLAY = "M-2.2 -3.4L3.6 0L-2.2 3.4Z";
const BARS = "M-2.9 -3H-0.9V3H-2.9ZM0.9 -3H2.9V3H0.9Z";
const EXCLAMATION = "M-0.9 -3H0.9V1.4H-0.9ZM-0.9 2.6H0.9V4.4H-0.9Z";
const STOP = "M-2 -2H2V2H-2Z";

const MARKS: Record<string, Mark> = {
  running: { tone: "good", filled: true, outline: DISC, icon: PLAY },
  paused: { tone: "warn", filled: true, outline: DISC, icon: BARS },
  failed: { tone: "bad", filled: true, outline: TRIANGLE, icon: EXCLAMATION },
  silent: { tone: "bad", filled: true, outline: TRIANGLE, icon: EXCLAMATION },
  exited: { tone: "idle", filled: false, outline: SQUARE, icon: STOP },
  created: { tone: "idle", filled: false, outline: SQUARE, icon: "" },
};
const BETWEEN: Mark = { tone: "warn", filled: false, outline: MOST_OF_A_RING, icon: "" };

/** A state has a shape and an icon of its own, not only a colour: disc, square, triangle; what is on its way is an open ring. */
export function markOf(state: string): Mark {
  return MARKS[state] ?? BETWEEN;
}

const drawn = new Map<string, Path2D>();

function path(data: string): Path2D {
  let made = drawn.get(data);
  if (!made) drawn.set(data, (made = new Path2D(data)));
  return made;
}

export function stateMark(pen: Pen, colours: Palette, state: string, x: number, y: number): void {
  const { tone, filled, outline, icon } = markOf(state);
  pen.translate(x, y);
  pen.lineWidth = 1.8;
  pen.fillStyle = pen.strokeStyle = colours[tone];
  if (filled) pen.fill(path(outline));
  else pen.stroke(path(outline));
  if (icon) {
    if (filled) pen.fillStyle = colours.surface;
    pen.fill(path(icon));
  }
  pen.translate(-x, -y);
}

/** A machine: two units with a lamp each. */
export function machine(pen: Pen, colour: string, x: number, y: number): void {
  pen.strokeStyle = pen.fillStyle = colour;
  pen.lineWidth = 1.5;
  for (const at of [y - 8, y + 1]) {
    pen.beginPath();
    pen.roundRect(x - 9, at, 18, 7, 2);
    pen.stroke();
    pen.fillRect(x - 6, at + 2.7, 1.8, 1.8);
  }
}

/** A cut corner square: something that is not ours. */
export function strangerMark(pen: Pen, colours: Palette, x: number, y: number): void {
  pen.strokeStyle = colours.idle;
  pen.lineWidth = 1.5;
  pen.beginPath();
  pen.moveTo(x, y - 5.5);
  pen.lineTo(x + 5.5, y);
  pen.lineTo(x, y + 5.5);
  pen.lineTo(x - 5.5, y);
  pen.closePath();
  pen.stroke();
}

export function globe(pen: Pen, colour: string, x: number, y: number): void {
  pen.strokeStyle = colour;
  pen.lineWidth = 1.6;
  pen.beginPath();
  pen.arc(x, y, 12, 0, 2 * Math.PI);
  pen.moveTo(x - 12, y);
  pen.lineTo(x + 12, y);
  pen.ellipse(x, y, 5, 12, 0, 0, 2 * Math.PI);
  pen.stroke();
}

/** A triangle with a mark of exclamation: it differs from the kernel. */
export function warning(pen: Pen, colours: Palette, x: number, y: number): void {
  pen.fillStyle = colours.warn;
  pen.strokeStyle = colours.surface;
  pen.lineWidth = 2;
  pen.beginPath();
  pen.moveTo(x, y - 11);
  pen.lineTo(x + 11, y + 9);
  pen.lineTo(x - 11, y + 9);
  pen.closePath();
  pen.stroke();
  pen.fill();
  pen.fillStyle = colours.surface;
  pen.font = `800 12px ${colours.font}`;
  pen.fillText("!", x, y + 2.5);
}

/** A round badge with a sign: what came (+), went (−) or changed (~) between two moments. */
export function badge(pen: Pen, colours: Palette, sign: "+" | "−" | "~", x: number, y: number): void {
  pen.fillStyle = sign === "+" ? colours.good : sign === "−" ? colours.bad : colours.warn;
  pen.strokeStyle = colours.surface;
  pen.lineWidth = 2;
  pen.beginPath();
  pen.arc(x, y, 9, 0, 2 * Math.PI);
  pen.stroke();
  pen.fill();
  pen.fillStyle = colours.surface;
  pen.font = `800 13px ${colours.font}`;
  pen.fillText(sign, x, y + 0.5);
}
