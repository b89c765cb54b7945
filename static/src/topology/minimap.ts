// The whole picture in small, and which part of it is in sight: shown while not all of it is. A press goes there. Only for the mouse: keys
// pan the picture itself, and the tree finds everything.
import { isRoom } from "./graph";
import type { Box } from "./layout";
import type { Palette } from "./palette";
import type { Scene, View } from "./scene";

const WIDEST = 168;
const HIGHEST = 112;

/** How much smaller than at scale 1 all within *bounds* is, to have room. */
export function reduction(bounds: Box): number {
  return Math.min(WIDEST / bounds.width, HIGHEST / bounds.height);
}

/** The part of *bounds* that a canvas of *width* and *height* pixels shows, in pixels of the small one; null: all of it. */
export function sight(bounds: Box, view: View, width: number, height: number): Box | null {
  const scale = reduction(bounds);
  const within = (at: number, from: number, size: number): number => Math.max(0, Math.min(size, at - from));
  const left = within(-view.x / view.k, bounds.x, bounds.width);
  const top = within(-view.y / view.k, bounds.y, bounds.height);
  const right = within((width - view.x) / view.k, bounds.x, bounds.width);
  const bottom = within((height - view.y) / view.k, bounds.y, bounds.height);
  if (right - left >= bounds.width && bottom - top >= bounds.height) return null;
  return { x: left * scale, y: top * scale, width: (right - left) * scale, height: (bottom - top) * scale };
}

export class Minimap {
  private readonly canvas: HTMLCanvasElement;
  private readonly frame: HTMLElement;
  private bounds: Box = { x: 0, y: 0, width: 1, height: 1 };
  private drawn = false;

  constructor(
    private readonly place: HTMLElement,
    go: (x: number, y: number) => void,
  ) {
    this.canvas = place.querySelector("canvas")!;
    this.frame = place.querySelector(".sight")!;
    const follow = (event: PointerEvent): void => {
      const { left, top } = this.canvas.getBoundingClientRect();
      const scale = reduction(this.bounds);
      go(this.bounds.x + (event.clientX - left) / scale, this.bounds.y + (event.clientY - top) / scale);
    };
    place.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      place.setPointerCapture(event.pointerId);
      follow(event);
    });
    place.addEventListener("pointermove", (event) => {
      if (place.hasPointerCapture(event.pointerId)) follow(event);
    });
  }

  /** Something stands elsewhere, or has another colour: it is drawn again when it is to be seen. */
  outdated(): void {
    this.drawn = false;
  }

  /** The view of a canvas of that size, in pixels. */
  look(scene: Scene, colours: Palette, view: View, width: number, height: number): void {
    this.bounds = scene.layout.bounds;
    const part = width ? sight(this.bounds, view, width, height) : null;
    this.place.hidden = part === null;
    if (!part) return;
    if (!this.drawn) this.draw(scene, colours);
    const { style } = this.frame;
    style.transform = `translate(${part.x}px, ${part.y}px)`;
    style.width = `${part.width}px`;
    style.height = `${part.height}px`;
  }

  private draw(scene: Scene, colours: Palette): void {
    this.drawn = true;
    const { canvas, bounds } = this;
    const ratio = window.devicePixelRatio || 1;
    const scale = reduction(bounds);
    canvas.width = Math.ceil(bounds.width * scale * ratio);
    canvas.height = Math.ceil(bounds.height * scale * ratio);
    canvas.style.width = `${canvas.width / ratio}px`;
    canvas.style.height = `${canvas.height / ratio}px`;
    const pen = canvas.getContext("2d")!;
    pen.scale(scale * ratio, scale * ratio);
    pen.translate(-bounds.x, -bounds.y);
    pen.lineWidth = 1 / scale;
    for (const rooms of [false, true]) {
      for (const node of scene.graph.nodes.values()) {
        const box = (rooms ? isRoom(node) : node.kind === "host") ? scene.layout.boxes.get(node.id) : undefined;
        if (!box) continue;
        pen.fillStyle = rooms ? (node.kind === "network" ? colours.networkBg : colours.surface2) : colours.surface;
        pen.strokeStyle = rooms && node.kind === "network" ? colours.network : colours.lineStrong;
        pen.fillRect(box.x, box.y, box.width, box.height);
        pen.strokeRect(box.x, box.y, box.width, box.height);
      }
    }
  }
}
