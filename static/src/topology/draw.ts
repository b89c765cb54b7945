// The picture, on a 2D canvas. Only what is in sight is drawn, and text only where it can be read.
import { dots, edgeLooks, isBright, lines } from "./far";
import { OUTSIDE, type Edge, type Graph, type Node } from "./graph";
import { HOST_HEAD, NETWORK_HEAD, type Box, type Layout } from "./layout";
import type { Palette } from "./palette";

export interface View {
  x: number;
  y: number;
  k: number;
}

export interface Scene {
  graph: Graph;
  layout: Layout;
  /** What stays bright; null: everything. */
  bright: Set<string> | null;
  selected: string | null;
  hovered: string | null;
  outsideName: string;
  words: Record<string, string>;
  /** A line that a person draws from a container to where the pointer is, to connect it. */
  drawing?: { from: string; x: number; y: number; to: string | null } | null;
}

const LABELS_FROM = 0.5;
const DETAILS_FROM = 0.75;
const ALL_EDGES_UP_TO = 300;
/** Below this scale containers and ports are plain rectangles, drawn together: a path of its own for each is what costs. */
const BOXES_FROM = 0.3;

export class Painter {
  private readonly pen: CanvasRenderingContext2D;
  private readonly clipped = new Map<string, string>();
  /** Of the lines at the chosen node; drawn last, over everything. */
  private labels: { text: string; x: number; y: number; colour: string }[] = [];

  constructor(
    private readonly canvas: HTMLCanvasElement,
    public colours: Palette,
  ) {
    this.pen = canvas.getContext("2d", { alpha: false })!;
  }

  /** Draw everything in sight. */
  paint(scene: Scene, view: View): void {
    const ratio = window.devicePixelRatio || 1;
    const { width, height } = this.canvas;
    const pen = this.pen;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.fillStyle = this.colours.surface2;
    pen.fillRect(0, 0, width, height);
    pen.setTransform(view.k * ratio, 0, 0, view.k * ratio, view.x * ratio, view.y * ratio);
    const sight: Box = {
      x: -view.x / view.k,
      y: -view.y / view.k,
      width: width / ratio / view.k,
      height: height / ratio / view.k,
    };
    const seen = (box: Box): boolean =>
      box.x < sight.x + sight.width && box.x + box.width > sight.x && box.y < sight.y + sight.height && box.y + box.height > sight.y;

    const { graph, layout } = scene;
    this.labels = [];
    this.rooms("host", scene, view.k, seen);
    this.edges(scene, view.k, seen, false); // behind the networks that a line only passes …
    this.rooms("network", scene, view.k, seen);
    this.edges(scene, view.k, seen, true); // … and on top of those that it belongs to
    const far = view.k < BOXES_FROM;
    if (far) dots(pen, this.colours, scene, seen);
    for (const node of graph.nodes.values()) {
      if (node.kind === "host" || node.kind === "network" || (far && !this.special(scene, node))) continue;
      const box = layout.boxes.get(node.id);
      if (!box || !seen(box)) continue;
      pen.globalAlpha = isBright(scene, node.id) ? 1 : 0.18;
      if (node.kind === "container") this.container(node, box, scene, view.k);
      else if (node.kind === "port") this.port(node, box, scene, view.k);
      else this.outside(box, scene);
    }
    pen.globalAlpha = 1;
    if (view.k >= 0.16) this.marks(scene, seen);
    this.drawnLine(scene);
    const told = new Set<string>();
    for (const { text, x, y, colour } of this.labels) {
      if (told.has(`${text}${x}${y}`)) continue; // each line is drawn twice
      told.add(`${text}${x}${y}`);
      this.edgeLabel(text, x, y, colour);
    }
  }

  /** What is drawn by itself even from afar. */
  private special(scene: Scene, node: Node): boolean {
    return node.kind === "outside" || node.id === scene.selected || node.id === scene.hovered;
  }

  private rooms(kind: "host" | "network", scene: Scene, k: number, seen: (box: Box) => boolean): void {
    for (const node of scene.graph.nodes.values()) {
      if (node.kind !== kind) continue;
      const box = scene.layout.boxes.get(node.id);
      if (box && seen(box)) this.room(node, box, scene, k);
    }
  }

  private room(node: Node, box: Box, scene: Scene, k: number): void {
    const { pen, colours } = this;
    const isHost = node.kind === "host";
    pen.globalAlpha = isBright(scene, node.id) ? 1 : 0.35;
    rounded(pen, box, isHost ? 16 : 11);
    pen.fillStyle = isHost ? colours.surface : colours.networkBg;
    pen.fill();
    const edge = isHost ? colours.lineStrong : colours.network;
    this.outline(scene, node.id, edge, isHost ? 1.5 : 1.25, node.data?.["internal"] === true ? [6, 4] : []);
    const big = k < LABELS_FROM; // far away only names of rooms are drawn, larger, so that they can be read
    const size = big ? Math.min(isHost ? 40 : 30, (isHost ? 15 : 13) / k) : isHost ? 15 : 13;
    if (big && size * k < 8) return;
    const head = isHost ? HOST_HEAD : NETWORK_HEAD;
    pen.fillStyle = isHost ? colours.host : colours.network;
    pen.font = `650 ${size}px ${colours.font}`;
    pen.textBaseline = "middle";
    const left = box.x + (isHost ? 62 : 16);
    pen.fillText(this.clip(node.name, box.width - (isHost ? 84 : 32), size), left, box.y + head / 2 + (big ? size / 3 : node.detail ? -6 : 2));
    if (big || !node.detail) return;
    pen.fillStyle = colours.ink2;
    pen.font = `400 11px ${colours.font}`;
    const internal = node.data?.["internal"] === true ? ` · ${scene.words["internal"] ?? "internal"}` : "";
    pen.fillText(this.clip(node.detail + internal, box.width - 32, 11), left, box.y + head / 2 + 10);
  }

  private container(node: Node, box: Box, scene: Scene, k: number): void {
    const { pen, colours } = this;
    rounded(pen, box, 8);
    pen.fillStyle = colours.surface;
    pen.fill();
    const still = node.state === "exited" || node.state === "created";
    this.outline(scene, node.id, still ? colours.lineStrong : node.state === "failed" ? colours.bad : colours.container, 1.25, still ? [4, 3] : []);
    if (k < 0.16) return;
    this.stateMark(node.state, box.x + 15, box.y + box.height / 2);
    if (k < LABELS_FROM) return;
    const withDetail = k >= DETAILS_FROM && node.detail;
    pen.fillStyle = colours.ink;
    pen.textBaseline = "middle";
    pen.font = `600 12.5px ${colours.font}`;
    pen.fillText(this.clip(node.name, box.width - 40, 12.5), box.x + 29, box.y + box.height / 2 - (withDetail ? 8 : 0));
    if (!withDetail) return;
    pen.fillStyle = colours.ink2;
    pen.font = `400 11px ${colours.font}`;
    pen.fillText(this.clip(node.detail, box.width - 40, 11), box.x + 29, box.y + box.height / 2 + 9);
  }

  /** A state has a shape of its own, not only a colour: disc, square, triangle, ring. */
  private stateMark(state: string, x: number, y: number): void {
    const { pen, colours } = this;
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

  private port(node: Node, box: Box, scene: Scene, k: number): void {
    const { pen, colours } = this;
    rounded(pen, box, box.height / 2);
    pen.fillStyle = colours.portBg;
    pen.fill();
    this.outline(scene, node.id, colours.port, 1.25, []);
    if (k < LABELS_FROM) return;
    pen.fillStyle = colours.port;
    pen.font = `650 11.5px ${colours.font}`;
    pen.textBaseline = "middle";
    pen.textAlign = "center";
    pen.fillText(this.clip(node.name, box.width - 12, 11.5), box.x + box.width / 2, box.y + box.height / 2 + 0.5);
    pen.textAlign = "start";
  }

  private outside(box: Box, scene: Scene): void {
    const { pen, colours } = this;
    rounded(pen, box, 14);
    pen.fillStyle = colours.outsideBg;
    pen.fill();
    this.outline(scene, OUTSIDE, colours.outside, 1.5, []);
    const x = box.x + box.width / 2;
    const y = box.y + 25;
    pen.strokeStyle = colours.outside;
    pen.lineWidth = 1.6;
    pen.beginPath(); // a globe
    pen.arc(x, y, 12, 0, 2 * Math.PI);
    pen.moveTo(x - 12, y);
    pen.lineTo(x + 12, y);
    pen.ellipse(x, y, 5, 12, 0, 0, 2 * Math.PI);
    pen.stroke();
    pen.fillStyle = colours.outside;
    pen.font = `650 12.5px ${colours.font}`;
    pen.textBaseline = "middle";
    pen.textAlign = "center";
    pen.fillText(this.clip(scene.outsideName, box.width - 10, 12.5), x, box.y + box.height - 17);
    pen.textAlign = "start";
  }

  /** A triangle with a mark of exclamation at everything that differs from the kernel; a count at what is collapsed. */
  private marks(scene: Scene, seen: (box: Box) => boolean): void {
    const { pen, colours } = this;
    for (const node of scene.graph.nodes.values()) {
      if (!node.drift && !node.folded) continue;
      const box = scene.layout.boxes.get(node.id);
      if (!box || !seen(box)) continue;
      pen.textAlign = "center";
      pen.textBaseline = "middle";
      if (node.folded) {
        pen.fillStyle = colours.ink2;
        pen.font = `600 13px ${colours.font}`;
        pen.fillText(`+ ${node.folded}`, box.x + box.width / 2, box.y + NETWORK_HEAD + (box.height - NETWORK_HEAD) / 2 - 4);
      }
      if (node.drift) {
        const x = box.x + box.width - 4;
        const y = box.y + 2;
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
      pen.textAlign = "start";
    }
  }

  private drawnLine(scene: Scene): void {
    const drawing = scene.drawing;
    const from = drawing ? scene.layout.boxes.get(drawing.from) : undefined;
    if (!drawing || !from) return;
    const { pen, colours } = this;
    const target = drawing.to ? scene.layout.boxes.get(drawing.to) : undefined;
    if (target) {
      rounded(pen, target, 11);
      pen.strokeStyle = colours.focus;
      pen.lineWidth = 3;
      pen.stroke();
    }
    pen.strokeStyle = colours.focus;
    pen.lineWidth = 2;
    pen.setLineDash(target ? [] : [5, 4]);
    pen.beginPath();
    pen.moveTo(from.x + from.width / 2, from.y + from.height / 2);
    pen.lineTo(drawing.x, drawing.y);
    pen.stroke();
    pen.setLineDash([]);
  }

  private outline(scene: Scene, id: string, colour: string, width: number, dash: number[]): void {
    const { pen } = this;
    const chosen = scene.selected === id;
    pen.strokeStyle = chosen || scene.hovered === id ? this.colours.focus : colour;
    pen.lineWidth = chosen ? 3 : scene.hovered === id ? 2 : width;
    pen.setLineDash(chosen ? [] : dash);
    pen.stroke();
    pen.setLineDash([]);
  }

  private edges(scene: Scene, k: number, seen: (box: Box) => boolean, onTop: boolean): void {
    const { graph, layout } = scene;
    const focus = scene.hovered ?? scene.selected;
    const crowded = graph.edges.length > ALL_EDGES_UP_TO;
    const plain = crowded && k < BOXES_FROM;
    if (plain && !onTop) lines(this.pen, this.colours, scene, seen);
    for (const edge of graph.edges) {
      if (plain && edge.from !== focus && edge.to !== focus) continue;
      const from = layout.boxes.get(edge.from);
      const to = layout.boxes.get(edge.to);
      if (!from || !to) continue;
      const left = Math.min(from.x, to.x);
      const top = Math.min(from.y, to.y);
      const span = {
        x: left,
        y: top,
        width: Math.max(from.x + from.width, to.x + to.width) - left,
        height: Math.max(from.y + from.height, to.y + to.height) - top,
      };
      if (!seen(span)) continue;
      const near = focus !== null && (edge.from === focus || edge.to === focus);
      const bright = isBright(scene, edge.from) && isBright(scene, edge.to);
      this.pen.globalAlpha = near ? 1 : !bright ? 0.08 : crowded ? 0.22 : 0.8;
      if (!onTop) {
        this.edge(edge, from, to, k, near);
      } else if (near || !crowded) {
        this.pen.save();
        this.clipTo(scene, edge);
        this.edge(edge, from, to, k, near);
        this.pen.restore();
      }
    }
    this.pen.globalAlpha = 1;
  }

  /** Let lines show only inside the networks at their ends (and over everything that is no network). */
  private clipTo(scene: Scene, edge: Edge): void {
    this.pen.beginPath();
    for (const end of [edge.from, edge.to]) {
      const node = scene.graph.nodes.get(end);
      const box = scene.layout.boxes.get(node?.kind === "container" ? (node.parent ?? end) : end);
      if (box) this.pen.rect(box.x - 4, box.y - 4, box.width + 8, box.height + 8);
    }
    this.pen.clip();
  }

  private edge(edge: Edge, from: Box, to: Box, k: number, near: boolean): void {
    const { pen } = this;
    const look = edgeLooks(this.colours)[edge.kind];
    const rightward = from.x + from.width / 2 <= to.x + to.width / 2;
    const x1 = rightward ? from.x + from.width : from.x;
    const y1 = from.y + from.height / 2;
    const x2 = edge.kind === "endpoint" ? clamp(x1, to.x + 10, to.x + to.width - 10) : rightward ? to.x : to.x + to.width;
    const y2 = edge.kind === "endpoint" ? (from.y > to.y ? to.y + to.height : to.y) : to.y + to.height / 2;
    const bend = Math.max(24, Math.abs(x2 - x1) / 2) * (rightward ? 1 : -1);
    pen.strokeStyle = look.colour;
    pen.lineWidth = near ? 2.5 : 1.5;
    pen.setLineDash(look.dash);
    pen.beginPath();
    pen.moveTo(x1, y1);
    pen.bezierCurveTo(x1 + bend, y1, edge.kind === "endpoint" ? x2 : x2 - bend, edge.kind === "endpoint" ? y1 : y2, x2, y2);
    pen.stroke();
    pen.setLineDash([]);
    if (k < 0.35) return;
    pen.fillStyle = look.colour;
    if (edge.kind === "endpoint") {
      pen.beginPath();
      pen.arc(x2, y2, 3.5, 0, 2 * Math.PI);
      pen.fill();
    } else if (edge.kind !== "shared") {
      arrow(pen, x2, y2, rightward ? 1 : -1);
    }
    if (edge.label && near && k >= LABELS_FROM) this.labels.push({ text: edge.label, x: (x1 + x2) / 2, y: (y1 + y2) / 2, colour: look.colour });
  }

  private edgeLabel(text: string, x: number, y: number, colour: string): void {
    const { pen, colours } = this;
    pen.font = `600 11px ${colours.font}`;
    const width = pen.measureText(text).width + 10;
    pen.fillStyle = colours.surface;
    rounded(pen, { x: x - width / 2, y: y - 9, width, height: 18 }, 5);
    pen.fill();
    pen.fillStyle = colour;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillText(text, x, y + 0.5);
    pen.textAlign = "start";
  }

  /** `text`, cut to `width` with an ellipsis. Measuring is dear, so answers are kept. */
  private clip(text: string, width: number, size: number): string {
    const key = `${Math.round(width)}|${Math.round(size * 2)}|${text}`;
    const kept = this.clipped.get(key);
    if (kept !== undefined) return kept;
    let shown = text;
    if (this.pen.measureText(text).width > width) {
      let low = 0;
      let high = text.length;
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        if (this.pen.measureText(`${text.slice(0, middle)}…`).width <= width) low = middle;
        else high = middle - 1;
      }
      shown = low ? `${text.slice(0, low)}…` : "";
    }
    if (this.clipped.size > 20_000) this.clipped.clear();
    this.clipped.set(key, shown);
    return shown;
  }
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), Math.max(least, most));
}

function rounded(pen: CanvasRenderingContext2D, box: Box, radius: number): void {
  pen.beginPath();
  pen.roundRect(box.x, box.y, box.width, box.height, radius);
}

function arrow(pen: CanvasRenderingContext2D, x: number, y: number, direction: 1 | -1): void {
  pen.beginPath();
  pen.moveTo(x, y);
  pen.lineTo(x - 7 * direction, y - 4);
  pen.lineTo(x - 7 * direction, y + 4);
  pen.fill();
}
