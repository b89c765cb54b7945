// Frames at the screen's pace, however long a whole picture takes: while a person pans and zooms, the last one is moved along and a
// new one is drawn now and then; when they rest, at once.
import type { Painter } from "./draw";
import type { Scene, View } from "./scene";

const CHEAP_MS = 9;
const REST_MS = 120;
/** While the view moves, a whole picture may take one part in so many of the time; and one that comes soon again, even less. */
const SHARE = 8;
const CALM_SHARE = 16;
const CALM_MS = 400;
/** What is drawn has to be rasterised too, by others and without a GPU for longer than it took to tell them: our clock does not see it. */
const PARTS_PER_MS = 500;

export class Frames {
  private asked = 0;
  private changed = false;
  private movedAt = 0;
  private paintedAt = 0;
  private cost = 0;
  private last: HTMLCanvasElement | null = null;
  private lastView: View | null = null;
  /** Whether `last` holds the picture of `lastView`; the canvas itself does, until something else is drawn. */
  private kept = false;

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
    cancelAnimationFrame(this.asked); // it would draw the same once more
    this.asked = 0;
    const begun = performance.now();
    const [scene, view] = this.now();
    this.painter.paint(scene, view);
    this.changed = false;
    this.paintedAt = performance.now();
    this.cost = Math.max(this.paintedAt - begun, scene.graph.nodes.size / PARTS_PER_MS);
    this.lastView = this.cost > CHEAP_MS ? { x: view.x, y: view.y, k: view.k } : null;
    this.kept = false;
  }

  private ask(): void {
    if (this.asked) return;
    this.asked = requestAnimationFrame(() => {
      this.asked = 0;
      const now = performance.now();
      const resting = now - this.movedAt > REST_MS;
      if (!this.lastView || resting || now - this.paintedAt > this.rest()) this.paint();
      else this.shift(this.now()[1]);
      if (this.changed || (!resting && this.lastView)) this.ask();
    });
  }

  /** How long a picture is moved along before the next one is drawn. */
  private rest(): number {
    return Math.min(this.cost * CALM_SHARE, Math.max(CALM_MS, this.cost * SHARE));
  }

  /** Where the last picture does not reach there is ground, until the next one. */
  private shift(view: View): void {
    if (!this.kept) this.keep();
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

  private keep(): void {
    this.last ??= document.createElement("canvas");
    if (this.last.width !== this.canvas.width || this.last.height !== this.canvas.height) {
      this.last.width = this.canvas.width;
      this.last.height = this.canvas.height;
    }
    this.last.getContext("2d", { alpha: false })?.drawImage(this.canvas, 0, 0);
    this.kept = true;
  }
}
