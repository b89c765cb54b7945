// The picture, on a 2D canvas. Only what is in sight is drawn, and text only where it can be read.
import { dots } from "./far";
import { homeDetail, homeEndpoint, isGuest, isRoom, OUTSIDE, type EndpointData, type Node } from "./graph";
import { HOST_HEAD, NETWORK_HEAD, type Box } from "./layout";
import { BOXES_FROM, LABELS_FROM, Lines, type Label } from "./lines";
import type { Palette } from "./palette";
import { isBright, type Scene, type View } from "./scene";
import { badge, globe, machine, rounded, stateMark, strangerMark, warning } from "./shapes";
import { rate, total, weight } from "./traffic";

const DETAILS_FROM = 0.75;
const MACS_FROM = 0.95;
/** Pixels of the screen below which a name is not read, and those of the picture above which it does not fit. */
const LEAST_READ = 9;
const MOST_FAR = 21;
const LABEL_HEIGHT = 18;
/** Where a label goes that would cover something, in its own heights: a little below, a little above, farther. */
const SHIFTS = [0, 1, -1, 2, -2, 3, -3];
const MOST_LOOKED_THROUGH = 400;
/** States of hosts and networks that are said; in the others they are as they should be. */
const UNWELL: ReadonlySet<string> = new Set(["silent", "failed", "pending", "removing"]);

export class Painter {
  private readonly pen: CanvasRenderingContext2D;
  private readonly clipped = new Map<string, string>();
  private readonly lines: Lines;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    public colours: Palette,
  ) {
    this.pen = canvas.getContext("2d", { alpha: false })!;
    this.lines = new Lines(this.pen);
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
    this.lines.labels = [];
    this.rooms(false, scene, view.k, seen);
    this.lines.draw(scene, this.colours, view.k, seen, false); // behind the networks that a line only passes …
    this.rooms(true, scene, view.k, seen);
    this.lines.draw(scene, this.colours, view.k, seen, true); // … and on top of those that it belongs to
    for (const node of graph.nodes.values()) {
      const box = node.kind === "host" ? layout.boxes.get(node.id) : undefined;
      if (box && seen(box)) this.head(node, box, scene, view.k); // a tunnel may run below it
    }
    const far = view.k < BOXES_FROM;
    if (far) dots(pen, this.colours, scene, seen);
    for (const node of graph.nodes.values()) {
      if (node.kind === "host" || isRoom(node) || (far && !this.special(scene, node))) continue;
      const box = layout.boxes.get(node.id);
      if (!box || !seen(box)) continue;
      pen.globalAlpha = isBright(scene, node.id) ? 1 : 0.18;
      if (isGuest(node)) this.guest(node, box, scene, view.k);
      else if (node.kind === "port") this.port(node, box, scene, view.k);
      else this.outside(box, scene);
    }
    pen.globalAlpha = 1;
    if (view.k >= 0.16) this.marks(scene, seen);
    this.drawnLine(scene);
    this.lines.atHome(scene, this.colours, view.k);
    if (this.lines.labels.length) this.writeLabels(this.lines.labels, this.standing(scene, seen));
  }

  /** What a label is not to cover, as long as that is little enough to look through. */
  private standing(scene: Scene, seen: (box: Box) => boolean): Box[] {
    const boxes: Box[] = [];
    for (const node of scene.graph.nodes.values()) {
      const box = isGuest(node) || node.kind === "port" ? scene.layout.boxes.get(node.id) : undefined;
      if (box && seen(box)) boxes.push(box);
    }
    return boxes.length > MOST_LOOKED_THROUGH ? [] : boxes;
  }

  private writeLabels(labels: Label[], standing: Box[]): void {
    const told = new Set<string>();
    const taken: Box[] = [];
    for (const { text, x: at, y, begins, colour } of labels) {
      if (told.has(`${text}${at}${y}`)) continue; // each line is drawn twice
      told.add(`${text}${at}${y}`);
      this.pen.font = `600 11px ${this.colours.font}`;
      const width = this.pen.measureText(text).width + 10;
      const x = begins ? at + width / 2 : at;
      const free = (top: number): boolean => {
        const there = { x: x - width / 2, y: top, width, height: LABEL_HEIGHT };
        return !taken.some((other) => overlap(other, there)) && !standing.some((other) => overlap(other, there));
      };
      let top = SHIFTS.map((shift) => y - LABEL_HEIGHT / 2 + shift * LABEL_HEIGHT).find(free);
      if (top === undefined) {
        top = y - LABEL_HEIGHT / 2;
        while (taken.some((other) => overlap(other, { x: x - width / 2, y: top!, width, height: LABEL_HEIGHT }))) top += LABEL_HEIGHT;
      }
      const box = { x: x - width / 2, y: top, width, height: LABEL_HEIGHT };
      taken.push(box);
      this.label(text, box, colour);
    }
  }

  /** What is drawn by itself even from afar. */
  private special(scene: Scene, node: Node): boolean {
    return node.kind === "outside" || node.id === scene.selected || node.id === scene.hovered;
  }

  private rooms(inHosts: boolean, scene: Scene, k: number, seen: (box: Box) => boolean): void {
    for (const node of scene.graph.nodes.values()) {
      if (inHosts ? !isRoom(node) : node.kind !== "host") continue;
      const box = scene.layout.boxes.get(node.id);
      if (box && seen(box)) this.room(node, box, scene, k);
    }
  }

  private room(node: Node, box: Box, scene: Scene, k: number): void {
    const { pen, colours } = this;
    const isHost = node.kind === "host";
    const quiet = node.kind === "foreign" || node.kind === "group";
    pen.globalAlpha = isBright(scene, node.id) ? 1 : 0.35;
    rounded(pen, box, isHost ? 16 : 11);
    pen.fillStyle = isHost ? colours.surface : quiet ? colours.surface2 : colours.networkBg;
    pen.fill();
    const edge = isHost ? colours.lineStrong : quiet ? colours.line : colours.network;
    this.outline(scene, node.id, edge, isHost ? 1.5 : 1.25, node.data?.["internal"] === true || node.kind === "foreign" ? [6, 4] : []);
    if (!isHost) this.head(node, box, scene, k);
  }

  /** The name of a room or host, and what else is to be said of it. */
  private head(node: Node, box: Box, scene: Scene, k: number): void {
    const { pen, colours } = this;
    const isHost = node.kind === "host";
    const quiet = node.kind === "foreign" || node.kind === "group";
    pen.globalAlpha = isBright(scene, node.id) ? 1 : 0.35;
    const big = k < LABELS_FROM; // far away only names of rooms are drawn, larger, so that they can be read
    const size = big ? Math.min(isHost ? 40 : 30, (isHost ? 15 : 13) / k) : isHost ? 15 : 13;
    if (big && size * k < 8) return;
    const head = isHost ? HOST_HEAD : NETWORK_HEAD;
    if (UNWELL.has(node.state) && node.kind !== "group") stateMark(pen, colours, node.state, box.x + box.width - 16, box.y + head / 2 - 2);
    if (isHost && !big) machine(pen, colours.host, box.x + 40, box.y + head / 2 + 1);
    pen.fillStyle = isHost ? colours.host : node.kind === "foreign" ? colours.ink2 : quiet ? colours.ink : colours.network;
    pen.font = `${node.kind === "foreign" ? 550 : 650} ${size}px ${colours.font}`;
    pen.textBaseline = "middle";
    const left = box.x + (isHost ? 62 : 16);
    const name = title(node, scene.words);
    const detail = this.roomDetail(node, scene);
    this.write(this.clip(name, box.width - (isHost ? 84 : 32), size), left, box.y + head / 2 + (big ? size / 3 : detail ? -4 : 2), isHost);
    if (big || !detail) return;
    pen.fillStyle = colours.ink2;
    pen.font = `400 11px ${colours.font}`;
    this.write(this.clip(detail, box.width - 32, 11), left, box.y + head / 2 + 11, isHost);
  }

  /** Text; with a rim of the ground's colour where a line may run below it. */
  private write(text: string, x: number, y: number, rim: boolean): void {
    if (rim) {
      this.pen.strokeStyle = this.colours.surface;
      this.pen.lineWidth = 5;
      this.pen.lineJoin = "round";
      this.pen.strokeText(text, x, y);
    }
    this.pen.fillText(text, x, y);
  }

  private roomDetail(node: Node, scene: Scene): string {
    const flow = node.kind === "host" ? undefined : scene.flows.get(node.id);
    return [
      UNWELL.has(node.state) && node.kind !== "group" ? (scene.words[`state.${node.state}`] ?? node.state) : "",
      node.detail,
      node.data?.["internal"] === true ? (scene.words["internal"] ?? "internal") : "",
      node.kind === "foreign" && node.state === "down" ? (scene.words["down"] ?? "down") : "",
      flow ? rate(total(flow)) : "",
    ].filter(Boolean).join(" · ");
  }

  private guest(node: Node, box: Box, scene: Scene, k: number): void {
    const { pen, colours } = this;
    const strange = node.kind === "stranger";
    rounded(pen, box, 8);
    pen.fillStyle = strange ? colours.surface2 : colours.surface;
    pen.fill();
    const still = node.state === "exited" || node.state === "created";
    const edge = strange ? colours.line : still ? colours.lineStrong : node.state === "failed" ? colours.bad : colours.container;
    this.outline(scene, node.id, edge, 1.25, still ? [4, 3] : []);
    if (k < 0.16) return;
    const flow = scene.flows.get(node.id);
    if (flow) this.busy(box, total(flow));
    const middle = box.y + box.height / 2;
    if (strange) strangerMark(pen, colours, box.x + 15, middle);
    else stateMark(pen, colours, node.state, box.x + 15, middle);
    if (k < LABELS_FROM) {
      this.farName(node.name, box, box.x + 29, k, strange ? colours.ink2 : colours.ink);
      return;
    }
    const home = node.kind === "container" && k >= DETAILS_FROM ? homeEndpoint(node) : undefined;
    if (home?.mac) this.plug(home, box, k);
    const detail = k < DETAILS_FROM ? "" : home ? homeDetail(home) : node.detail;
    const figure = flow && k >= DETAILS_FROM ? rate(total(flow)) : "";
    pen.fillStyle = strange ? colours.ink2 : colours.ink;
    pen.textBaseline = "middle";
    pen.font = `${strange ? 500 : 600} 12.5px ${colours.font}`;
    pen.fillText(this.clip(node.name, box.width - (figure ? 92 : 40), 12.5), box.x + 29, middle - (detail ? 8 : 0));
    pen.fillStyle = colours.ink2;
    pen.font = `400 11px ${colours.font}`;
    if (figure) {
      pen.textAlign = "end";
      pen.fillText(figure, box.x + box.width - 8, middle - (detail ? 8 : 0));
      pen.textAlign = "start";
    }
    if (detail) pen.fillText(this.clip(detail, box.width - 40, 11), box.x + 29, middle + 9);
  }

  /** A name alone, as large as it must be to be read from there, as on a phone. */
  private farName(name: string, box: Box, x: number, k: number, colour: string): void {
    const size = Math.min(MOST_FAR, LEAST_READ / k);
    if (size * k < LEAST_READ - 1) return;
    this.pen.fillStyle = colour;
    this.pen.textBaseline = "middle";
    this.pen.font = `600 ${size}px ${this.colours.font}`;
    this.pen.fillText(this.clip(name, box.x + box.width - x - 6, size), x, box.y + box.height / 2 + 1);
  }

  /** The endpoint in the very network in which a container stands: its edge is the wall, and its MAC address stands below. */
  private plug(home: EndpointData, box: Box, k: number): void {
    const { pen, colours } = this;
    const x = box.x + 15; // below the mark of its state, so that the MAC address finds room beside it
    const y = box.y + box.height;
    pen.strokeStyle = pen.fillStyle = colours.network;
    pen.lineWidth = 1.5;
    pen.beginPath();
    pen.moveTo(x, y);
    pen.lineTo(x, y + 3);
    pen.stroke();
    pen.beginPath();
    pen.arc(x, y + 4, 2.5, 0, 2 * Math.PI);
    pen.fill();
    if (k < MACS_FROM) return;
    pen.fillStyle = colours.ink2;
    pen.font = `400 10px ${colours.font}`;
    pen.fillText(home.mac, x + 7, y + 8.5);
  }

  /** A bar below what moves something, longer for more. */
  private busy(box: Box, bytes: number): void {
    const { pen, colours } = this;
    pen.fillStyle = colours.network;
    pen.beginPath();
    pen.roundRect(box.x + 9, box.y + box.height - 4.5, ((box.width - 18) * (weight(bytes) - 1)) / 6, 3, 1.5);
    pen.fill();
  }

  private port(node: Node, box: Box, scene: Scene, k: number): void {
    const { pen, colours } = this;
    rounded(pen, box, box.height / 2);
    pen.fillStyle = colours.portBg;
    pen.fill();
    this.outline(scene, node.id, colours.port, 1.25, []);
    if (k < LABELS_FROM) {
      this.farName(String(node.data?.["host_port"] ?? ""), box, box.x + 14, k, colours.port);
      return;
    }
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
    globe(pen, colours.outside, x, box.y + 25);
    pen.fillStyle = colours.outside;
    pen.font = `650 12.5px ${colours.font}`;
    pen.textBaseline = "middle";
    pen.textAlign = "center";
    pen.fillText(this.clip(scene.words["outside"] ?? "", box.width - 10, 12.5), x, box.y + box.height - 17);
    pen.textAlign = "start";
  }

  /** A sign at everything that differs from the kernel or between two moments; a count at what is collapsed. */
  private marks(scene: Scene, seen: (box: Box) => boolean): void {
    const { pen, colours } = this;
    for (const node of scene.graph.nodes.values()) {
      const sign = scene.signs.get(node.id);
      if (!node.drift && !node.folded && !sign) continue;
      const box = scene.layout.boxes.get(node.id);
      if (!box || !seen(box)) continue;
      pen.textAlign = "center";
      pen.textBaseline = "middle";
      if (node.folded) {
        pen.fillStyle = colours.ink2;
        pen.font = `600 13px ${colours.font}`;
        pen.fillText(`+ ${node.folded}`, box.x + box.width / 2, box.y + NETWORK_HEAD + (box.height - NETWORK_HEAD) / 2 - 4);
      }
      if (node.drift) warning(pen, colours, box.x + box.width - 4, box.y + 2);
      if (sign) badge(pen, colours, sign, box.x + 2, box.y + 2);
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

  private label(text: string, box: Box, colour: string): void {
    const { pen, colours } = this;
    pen.fillStyle = colours.surface;
    rounded(pen, box, 5);
    pen.fill();
    pen.fillStyle = colour;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillText(text, box.x + box.width / 2, box.y + box.height / 2 + 0.5);
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

function overlap(a: Box, b: Box): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

/** What is written at a node that may have no name of its own. */
export function title(node: Node, words: Record<string, string>): string {
  if (node.name) return node.name;
  if (node.kind === "outside") return words["outside"] ?? "";
  if (node.kind === "group") return words["noValue"] ?? "—";
  return node.kind === "foreign" ? (words["apart"] ?? "") : "";
}
