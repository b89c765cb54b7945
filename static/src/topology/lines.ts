// The edges of the picture: kinds by colour, dash and end; traffic by width and figure. Labels come back, to be drawn over everything.
import { lines } from "./far";
import { endpointLabel, homeEndpoint, isGuest, type Edge } from "./graph";
import type { Box } from "./layout";
import type { Palette } from "./palette";
import { isBright, type Scene } from "./scene";
import { arrow, clamp } from "./shapes";
import { rate, total, weight } from "./traffic";
import { rounded, tunnelWay } from "./tunnels";

export const LABELS_FROM = 0.5;
const ALL_EDGES_UP_TO = 300;
/** What an edge has to say is written on it where there is room: few edges, seen from near. */
const TELLING_EDGES_UP_TO = 80;
const TOLD_FROM = 0.7;
const MACS_FROM = 0.95;
const MAC_AT_END = / (?:[0-9a-f]{2}:){5}[0-9a-f]{2}$/;
const BESIDE = 7;
/** Below this scale containers and ports are plain rectangles, drawn together: a path of its own for each is what costs. */
export const BOXES_FROM = 0.3;

export interface Label {
  text: string;
  /** Its middle; with `begins` its left edge. */
  x: number;
  begins?: boolean;
  y: number;
  colour: string;
}

export function edgeLooks(colours: Palette): Record<Edge["kind"], { colour: string; dash: number[] }> {
  return {
    port: { colour: colours.port, dash: [] },
    outside: { colour: colours.outside, dash: [] },
    endpoint: { colour: colours.network, dash: [] },
    link: { colour: colours.container, dash: [6, 4] },
    shared: { colour: colours.idle, dash: [2, 3] },
    tunnel: { colour: colours.network, dash: [10, 4] },
  };
}

/** Where an edge runs: out of one side of its start, into a side of its end. Pure. */
export interface Run {
  x1: number;
  y1: number;
  x2: number;
  y2: number;
  bend: number;
  rightward: boolean;
}

export function run(kind: Edge["kind"], from: Box, to: Box): Run {
  const rightward = from.x + from.width / 2 <= to.x + to.width / 2;
  const x1 = rightward ? from.x + from.width : from.x;
  const y1 = from.y + from.height / 2;
  const x2 = kind === "endpoint" ? clamp(x1, to.x + 10, to.x + to.width - 10) : rightward ? to.x : to.x + to.width;
  const y2 = kind === "endpoint" ? (from.y > to.y ? to.y + to.height : to.y) : to.y + to.height / 2;
  const bend = Math.max(24, Math.abs(x2 - x1) / 2) * (rightward ? 1 : -1);
  return { x1, y1, x2, y2, bend, rightward };
}

export class Lines {
  /** Of the lines at the chosen node, and of those that carry something. */
  labels: Label[] = [];
  private telling = false;

  constructor(private readonly pen: CanvasRenderingContext2D) {}

  draw(scene: Scene, colours: Palette, k: number, seen: (box: Box) => boolean, onTop: boolean): void {
    const { graph, layout } = scene;
    const focus = scene.hovered ?? scene.selected;
    const crowded = graph.edges.length > ALL_EDGES_UP_TO;
    this.telling = graph.edges.length <= TELLING_EDGES_UP_TO;
    const plain = crowded && k < BOXES_FROM;
    if (plain && !onTop) lines(this.pen, edgeLooks(colours), scene, seen);
    for (const edge of graph.edges) {
      if (edge.kind === "tunnel") {
        this.tunnel(edge, scene, colours, k, onTop);
        continue;
      }
      const flow = scene.flows.get(edge.id);
      const near = focus !== null && (edge.from === focus || edge.to === focus);
      if (plain && !near && !flow) continue;
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
      const bright = isBright(scene, edge.from) && isBright(scene, edge.to);
      this.pen.globalAlpha = near ? 1 : !bright ? 0.08 : crowded && !flow ? 0.22 : 0.8;
      if (!onTop) {
        this.edge(edge, from, to, scene, colours, k, near, bright);
      } else if (near || !crowded) {
        this.pen.save();
        this.clipTo(scene, edge);
        this.edge(edge, from, to, scene, colours, k, near, bright);
        this.pen.restore();
      }
    }
    this.pen.globalAlpha = 1;
  }

  /** What the chosen container has in the very network in which it stands: there is no line for it. */
  atHome(scene: Scene, colours: Palette, k: number): void {
    const node = scene.graph.nodes.get(scene.hovered ?? scene.selected ?? "");
    const box = node && scene.layout.boxes.get(node.id);
    if (!box || k < LABELS_FROM || node.kind !== "container") return;
    const home = homeEndpoint(node);
    if (home) this.labels.unshift({ text: endpointLabel(home), x: box.x + box.width / 2, y: box.y + box.height + 11, colour: colours.network });
  }

  /** Between hosts, through the lanes beside rooms: it crosses nothing that it would have to hide behind. */
  private tunnel(edge: Edge, scene: Scene, colours: Palette, k: number, onTop: boolean): void {
    const way = onTop ? tunnelWay(scene.graph, scene.layout, edge) : null;
    if (!way) return;
    const { pen } = this;
    const focus = scene.hovered ?? scene.selected;
    const near = focus === edge.from || focus === edge.to;
    const look = edgeLooks(colours).tunnel;
    pen.globalAlpha = near ? 1 : isBright(scene, edge.from) && isBright(scene, edge.to) ? 0.9 : 0.1;
    pen.strokeStyle = look.colour;
    pen.lineWidth = near ? 3.5 : 2.5;
    pen.setLineDash(look.dash);
    pen.stroke(new Path2D(rounded(way.points)));
    pen.setLineDash([]);
    pen.fillStyle = look.colour;
    for (const [x, y] of [way.points[0]!, way.points.at(-1)!]) {
      pen.beginPath();
      pen.arc(x, y, 4.5, 0, 2 * Math.PI);
      pen.fill();
    }
    const [x, y] = way.label;
    if (k >= LABELS_FROM) this.labels.push({ text: edge.label, x, y, colour: look.colour });
  }

  /** Let lines show only inside the networks at their ends (and over everything that is no network). */
  private clipTo(scene: Scene, edge: Edge): void {
    this.pen.beginPath();
    for (const end of [edge.from, edge.to]) {
      const node = scene.graph.nodes.get(end);
      const box = scene.layout.boxes.get(node && isGuest(node) ? (node.parent ?? end) : end);
      if (box) this.pen.rect(box.x - 4, box.y - 4, box.width + 8, box.height + 8);
    }
    this.pen.clip();
  }

  private edge(edge: Edge, from: Box, to: Box, scene: Scene, colours: Palette, k: number, near: boolean, bright: boolean): void {
    const { pen } = this;
    const look = edgeLooks(colours)[edge.kind];
    const { x1, y1, x2, y2, bend, rightward } = run(edge.kind, from, to);
    const isEndpoint = edge.kind === "endpoint";
    const flow = scene.flows.get(edge.id);
    const moved = flow ? total(flow) : 0;
    pen.strokeStyle = look.colour;
    pen.lineWidth = Math.max(near ? 2.5 : 1.5, weight(moved));
    pen.setLineDash(look.dash);
    pen.beginPath();
    pen.moveTo(x1, y1);
    pen.bezierCurveTo(x1 + bend, y1, isEndpoint ? x2 : x2 - bend, isEndpoint ? y1 : y2, x2, y2);
    pen.stroke();
    pen.setLineDash([]);
    if (k < 0.35) return;
    pen.fillStyle = look.colour;
    if (isEndpoint) {
      pen.beginPath();
      pen.arc(x2, y2, 3.5, 0, 2 * Math.PI);
      pen.fill();
    } else if (edge.kind !== "shared") {
      arrow(pen, x2, y2, rightward ? 1 : -1);
    }
    if (k < LABELS_FROM || edge.kind === "outside" || !bright) return;
    const told = near || (this.telling && k >= TOLD_FROM);
    const label = near || k >= MACS_FROM ? edge.label : edge.label.replace(MAC_AT_END, "");
    const text = [told ? label : "", moved ? rate(moved) : ""].filter(Boolean).join(" · ");
    if (!text) return;
    const beside = edge.kind === "port" && rightward; // where the line ends there may be others' names
    this.labels.push(beside ? { text, x: x1 + BESIDE, y: y1, begins: true, colour: look.colour } : { text, x: (x1 + x2) / 2, y: (y1 + y2) / 2, colour: look.colour });
  }
}
