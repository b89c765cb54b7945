// The canvas as a place: what is where, what lies under the pointer, and which part of it is in sight.
import { quadtree, type Quadtree } from "d3-quadtree";
import { select } from "d3-selection";
import { zoom, zoomIdentity, type D3ZoomEvent, type ZoomBehavior, type ZoomTransform } from "d3-zoom";
import { Painter } from "./draw";
import { Frames } from "./frames";
import { isRoom } from "./graph";
import { TALL, WIDE, type Box } from "./layout";
import { Minimap } from "./minimap";
import { palette } from "./palette";
import type { Scene } from "./scene";

interface Spot {
  id: string;
  x: number;
  y: number;
}

const LEAST_ZOOM = 0.02;
const MOST_ZOOM = 3;
const MARGIN = 24;
const STEP = 1.3;

export class Stage {
  readonly painter: Painter;
  private transform: ZoomTransform = zoomIdentity;
  /** Made when somebody points at something: a picture that is only looked at needs none. */
  private spots: Quadtree<Spot> | null = null;
  private readonly frames: Frames;
  private readonly zoomer: ZoomBehavior<HTMLCanvasElement, unknown>;
  private readonly minimap: Minimap;
  /** Of the canvas, in pixels: to ask it while it is moved would lay out the page each time. */
  private size: [number, number] = [0, 0];
  private fitted = false;
  private shape = 0;
  /** A person chose what is in sight: it stays. */
  moved = false;
  /** A person is at it with a pressed button. */
  private held = false;

  constructor(
    readonly canvas: HTMLCanvasElement,
    public scene: Scene,
    /** Whether a drag that begins there is of something in the picture and not of all of it. */
    grabbed: (x: number, y: number) => boolean,
    /** The canvas took another shape, to which the rooms can be arranged. */
    private readonly turned: () => void,
  ) {
    this.painter = new Painter(canvas, palette());
    this.frames = new Frames(canvas, this.painter, () => [this.scene, this.transform]);
    const ours = (event: MouseEvent): boolean => event.type === "mousedown" && grabbed(...this.place(event));
    this.zoomer = zoom<HTMLCanvasElement, unknown>()
      .scaleExtent([LEAST_ZOOM, MOST_ZOOM])
      .filter((event: MouseEvent) => !event.ctrlKey && !event.button && !ours(event))
      .on("zoom", (event: D3ZoomEvent<HTMLCanvasElement, unknown>) => {
        this.transform = event.transform;
        if (event.sourceEvent) this.moved = true;
        this.look();
        this.frames.moving();
      });
    this.minimap = new Minimap(canvas.parentElement!.querySelector(".minimap")!, (x, y) => this.go(x, y));
    select(canvas).call(this.zoomer).on("dblclick.zoom", null);
    canvas.addEventListener("pointerdown", () => (this.held = true));
    for (const end of ["pointerup", "pointercancel"]) window.addEventListener(end, () => (this.held = false));
    new ResizeObserver(() => this.sized() || this.resize()).observe(canvas); // tells of the first size too, which is drawn
    new MutationObserver(() => {
      this.painter.colours = palette();
      this.minimap.outdated();
      this.look();
      this.paint();
    }).observe(document.documentElement, { attributes: true, attributeFilter: ["data-bs-theme"] });
  }

  /** Two shapes only, so that a window that grows a little moves nothing. */
  aspect(): number {
    return this.canvas.clientWidth < this.canvas.clientHeight ? TALL : WIDE;
  }

  /** What stands where has changed. */
  arranged(): void {
    this.spots = null;
    this.shape = this.aspect();
    this.minimap.outdated();
    this.look();
  }

  private look(): void {
    this.minimap.look(this.scene, this.painter.colours, this.transform, ...this.size);
  }

  /** Have that place of the picture in the middle. */
  private go(x: number, y: number): void {
    this.moved = true;
    this.zoomer.translateTo(select(this.canvas), x, y);
  }

  private near(x: number, y: number): Spot | undefined {
    if (!this.spots) {
      const { graph, layout } = this.scene;
      const spots: Spot[] = [];
      for (const [id, box] of layout.boxes) {
        const node = graph.nodes.get(id);
        if (node && node.kind !== "host" && !isRoom(node)) spots.push({ id, x: box.x + box.width / 2, y: box.y + box.height / 2 });
      }
      this.spots = quadtree<Spot>(spots, (spot) => spot.x, (spot) => spot.y);
    }
    return this.spots.find(x, y, 90);
  }

  paint(): void {
    this.frames.change();
  }

  /** From the canvas's pixels to the picture's. */
  place(event: MouseEvent): [number, number] {
    return this.transform.invert([event.offsetX, event.offsetY]);
  }

  /** What stands there: the innermost. */
  find(x: number, y: number): string | null {
    const { graph, layout } = this.scene;
    const inside = (box: Box | undefined): boolean =>
      !!box && x >= box.x && y >= box.y && x <= box.x + box.width && y <= box.y + box.height;
    const spot = this.near(x, y);
    if (spot && inside(layout.boxes.get(spot.id))) return spot.id;
    let found: string | null = null;
    for (const node of graph.nodes.values()) {
      if ((node.kind === "host" || isRoom(node)) && inside(layout.boxes.get(node.id))) found = isRoom(node) || !found ? node.id : found;
    }
    return found;
  }

  /** Where each thing stands on the canvas, in its pixels: for tests and benchmarks, which have a mouse and no eyes. */
  standing(): Record<string, { head: [number, number]; middle: [number, number] }> {
    return Object.fromEntries(
      [...this.scene.layout.boxes].map(([id, box]) => [
        id,
        { head: this.transform.apply([box.x + 20, box.y + 14]), middle: this.transform.apply([box.x + box.width / 2, box.y + box.height / 2]) },
      ]),
    );
  }

  fit(): void {
    const { bounds } = this.scene.layout;
    const { clientWidth: width, clientHeight } = this.canvas;
    const height = clientHeight - this.covered();
    if (!width || height <= 0) return;
    const k = Math.min(1.15, (width - 2 * MARGIN) / (bounds.width + 60), (height - 2 * MARGIN) / bounds.height);
    const scale = Math.max(LEAST_ZOOM, k);
    const x = (width - bounds.width * scale) / 2;
    const y = Math.max(MARGIN, (height - bounds.height * scale) / 2);
    this.zoomer.transform(select(this.canvas), zoomIdentity.translate(x, y).scale(scale));
  }

  /** After something came or went: what is in sight stays where it is, as long as all of it is in sight. */
  settle(): void {
    if (this.moved || this.held) return;
    const { bounds } = this.scene.layout;
    const [left, top] = this.transform.apply([bounds.x, bounds.y]);
    const [right, bottom] = this.transform.apply([bounds.x + bounds.width, bounds.y + bounds.height]);
    if (left < 0 || top < 0 || right > this.canvas.clientWidth || bottom > this.canvas.clientHeight - this.covered()) this.fit();
  }

  /** How much of the bottom lies under the legend. */
  private covered(): number {
    const legend = this.canvas.parentElement?.querySelector<HTMLElement>(".legend");
    return legend?.offsetHeight ? this.canvas.offsetHeight - legend.offsetTop : 0;
  }

  pan(dx: number, dy: number): void {
    this.zoomer.translateBy(select(this.canvas), dx / this.transform.k, dy / this.transform.k);
  }

  closer(): void {
    this.zoomer.scaleBy(select(this.canvas), STEP);
  }

  farther(): void {
    this.zoomer.scaleBy(select(this.canvas), 1 / STEP);
  }

  /** Move the picture only where the thing is out of sight. */
  reveal(id: string): void {
    const box = this.scene.layout.boxes.get(id);
    if (!box) return;
    const [x, y] = this.transform.apply([box.x + box.width / 2, box.y + box.height / 2]);
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (x > 20 && y > 20 && x < width - 20 && y < height - 20) return;
    this.zoomer.translateTo(select(this.canvas), box.x + box.width / 2, box.y + box.height / 2);
  }

  /** Whether there is a picture of the very size that the canvas has now. */
  private sized(): boolean {
    const ratio = window.devicePixelRatio || 1;
    return this.fitted && this.canvas.width === Math.round(this.canvas.clientWidth * ratio) && this.canvas.height === Math.round(this.canvas.clientHeight * ratio);
  }

  resize(): void {
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    this.size = [width, height];
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
    }
    if (this.fitted && this.shape !== this.aspect()) this.turned();
    if (width && (!this.fitted || !this.moved)) {
      this.fitted = true;
      this.fit(); // what a person chose to look at stays; else the picture fits the window that it is in now
    } else this.look();
    this.frames.paint();
  }
}
