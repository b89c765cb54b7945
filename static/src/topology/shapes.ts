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

/** A state has a shape of its own, not only a colour: disc, square, triangle, ring. */
export function stateMark(pen: Pen, colours: Palette, state: string, x: number, y: number): void {
  pen.beginPath();
  pen.lineWidth = 2;
  if (state === "running") {
    pen.fillStyle = colours.good;
    pen.arc(x, y, 5.5, 0, 2 * Math.PI);
    pen.fill();
  } else if (state === "failed") {
    pen.fillStyle = colours.bad;
    pen.moveTo(x, y - 6);
    pen.lineTo(x + 6.5, y + 5);
    pen.lineTo(x - 6.5, y + 5);
    pen.fill();
  } else if (state === "exited" || state === "created") {
    pen.strokeStyle = colours.idle;
    pen.strokeRect(x - 4.5, y - 4.5, 9, 9);
  } else {
    pen.strokeStyle = colours.warn;
    pen.arc(x, y, 5, -Math.PI / 2, Math.PI);
    pen.stroke();
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
