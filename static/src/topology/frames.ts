// Frames at the screen's pace, however long a whole picture takes: while a person pans and zooms, the last one is moved along and a
// new one is drawn now and then; when they rest, at once.
import type { Painter, Scene, View } from "./draw";

const CHEAP_MS = 9;
const REST_MS = 120;
/** A whole picture may take this share of the time. */
const SHARE = 8;

export class Frames {
  private asked = 0;
  private changed = false;
  private movedAt = 0;
  private paintedAt = 0;
  private cost = 0;
  private last: HTMLCanvasElement | null = null;
  private lastView: View | null = null;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly painter: Painter,
    private readonly now: () => [Scene, View],
  ) {}

  /** The view moved: what is in the picture is as before. */
  moving(): void {
    this.movedAt = performance.now();
    this.ask();
  }

  /** Something in the picture changed. */
  change(): void {
    this.changed = true;
    this.ask();
  }

  /** Draw now. */
  paint(): void {
    const begun = performance.now();
    const [scene, view] = this.now();
    this.painter.paint(scene, view);
    this.changed = false;
    this.paintedAt = performance.now();
    this.cost = this.paintedAt - begun;
    if (this.cost > CHEAP_MS) this.keep(view);
    else this.lastView = null;
  }

  private ask(): void {
    if (this.asked) return;
    this.asked = requestAnimationFrame(() => {
      this.asked = 0;
      const now = performance.now();
      const resting = now - this.movedAt > REST_MS;
      if (!this.lastView || resting || now - this.paintedAt > this.cost * SHARE) this.paint();
      else this.shift(this.now()[1]);
      if (this.changed || (!resting && this.lastView)) this.ask();
    });
  }

  /** Where the last picture does not reach there is ground, until the next one. */
  private shift(view: View): void {
    const { last, lastView } = this;
    const pen = this.canvas.getContext("2d", { alpha: false });
    if (!last || !lastView || !pen) return;
    const ratio = window.devicePixelRatio || 1;
    const scale = view.k / lastView.k;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.globalAlpha = 1;
    pen.fillStyle = this.painter.colours.surface2;
    pen.fillRect(0, 0, this.canvas.width, this.canvas.height);
    pen.setTransform(scale, 0, 0, scale, (view.x - lastView.x * scale) * ratio, (view.y - lastView.y * scale) * ratio);
    pen.drawImage(last, 0, 0);
  }

  private keep(view: View): void {
    this.last ??= document.createElement("canvas");
    if (this.last.width !== this.canvas.width || this.last.height !== this.canvas.height) {
      this.last.width = this.canvas.width;
      this.last.height = this.canvas.height;
    }
    this.last.getContext("2d", { alpha: false })?.drawImage(this.canvas, 0, 0);
    this.lastView = { x: view.x, y: view.y, k: view.k };
  }
}
