// The whole picture as SVG, in the colours of the page.
import { title } from "./draw";
import { homeDetail, homeEndpoint, isRoom, type Edge, type Node } from "./graph";
import { HOST_HEAD, NETWORK_HEAD, type Box } from "./layout";
import { edgeLooks, run } from "./lines";
import type { Palette } from "./palette";
import type { Scene } from "./scene";
import { markOf } from "./shapes";
import { rate, total, weight } from "./traffic";
import { rounded, tunnelWay } from "./tunnels";

export const MARGIN = 24;

const escaped = (text: string): string => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;");

export function asSvg(scene: Scene, colours: Palette): string {
  const { graph, layout } = scene;
  const { bounds } = layout;
  const view = [bounds.x - 60 - MARGIN, bounds.y - MARGIN, bounds.width + 60 + 2 * MARGIN, bounds.height + 2 * MARGIN];
  const paper = new Paper(scene, colours);
  const draw = (wanted: (node: Node) => boolean, one: (node: Node, box: Box) => void): void => {
    for (const node of graph.nodes.values()) {
      const box = layout.boxes.get(node.id);
      if (box && wanted(node)) one(node, box);
    }
  };
  draw((node) => node.kind === "host", (node, box) => paper.host(node, box));
  draw(isRoom, (node, box) => paper.room(node, box));
  for (const edge of graph.edges) paper.line(edge);
  draw((node) => node.kind === "container" || node.kind === "stranger", (node, box) => paper.guest(node, box));
  draw((node) => node.kind === "port", (node, box) => paper.port(node, box));
  draw((node) => node.kind === "outside", (node, box) => paper.outside(node, box));
  const font = escaped(colours.font.replace(/"/g, "'"));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="${view.join(" ")}" width="${view[2]}" height="${view[3]}" font-family="${font}"><rect x="${view[0]}" y="${view[1]}" width="${view[2]}" height="${view[3]}" fill="${colours.surface2}"/>${paper.parts.join("\n")}</svg>\n`;
}

class Paper {
  readonly parts: string[] = [];

  constructor(
    private readonly scene: Scene,
    private readonly colours: Palette,
  ) {}

  host(node: Node, box: Box): void {
    this.rect(box, 16, this.colours.surface, this.colours.lineStrong);
    this.text(node.name, box.x + 62, box.y + HOST_HEAD / 2, 15, this.colours.host);
    if (node.state === "silent") this.mark("silent", box.x + box.width - 22, box.y + HOST_HEAD / 2);
  }

  room(node: Node, box: Box): void {
    const { colours } = this;
    const quiet = node.kind !== "network";
    const dash = node.kind === "foreign" || node.data?.["internal"] === true ? "6 4" : "";
    this.rect(box, 11, quiet ? colours.surface2 : colours.networkBg, quiet ? colours.line : colours.network, dash);
    this.text(title(node, this.scene.words), box.x + 16, box.y + 17, 13, quiet ? colours.ink2 : colours.network);
    this.text(node.detail, box.x + 16, box.y + 33, 11, colours.ink2);
    if (node.folded) this.text(`+ ${node.folded}`, box.x + box.width / 2, box.y + NETWORK_HEAD + 22, 13, colours.ink2, "middle");
  }

  guest(node: Node, box: Box): void {
    const { colours } = this;
    const strange = node.kind === "stranger";
    this.rect(box, 8, strange ? colours.surface2 : colours.surface, strange ? colours.line : node.state === "failed" ? colours.bad : colours.container);
    this.mark(strange ? "stranger" : node.state, box.x + 15, box.y + box.height / 2);
    this.text(node.name, box.x + 29, box.y + 20, 12.5, strange ? colours.ink2 : colours.ink);
    const home = node.kind === "container" ? homeEndpoint(node) : undefined;
    this.text(home ? homeDetail(home) : node.detail, box.x + 29, box.y + 36, 11, colours.ink2);
    if (!home?.mac) return;
    this.parts.push(`<circle cx="${box.x + box.width / 2}" cy="${box.y + box.height + 4}" r="2.5" fill="${colours.network}"/>`);
    this.text(home.mac, box.x + box.width / 2, box.y + box.height + 17, 10, colours.ink2, "middle");
  }

  port(node: Node, box: Box): void {
    this.rect(box, box.height / 2, this.colours.portBg, this.colours.port);
    this.text(node.name, box.x + box.width / 2, box.y + box.height / 2 + 4, 11.5, this.colours.port, "middle");
  }

  outside(node: Node, box: Box): void {
    this.rect(box, 14, this.colours.outsideBg, this.colours.outside);
    this.text(title(node, this.scene.words), box.x + box.width / 2, box.y + box.height / 2 + 4, 12.5, this.colours.outside, "middle");
  }

  line(edge: Edge): void {
    const from = this.scene.layout.boxes.get(edge.from);
    const to = this.scene.layout.boxes.get(edge.to);
    if (!from || !to) return;
    const look = edgeLooks(this.colours)[edge.kind];
    const way = edge.kind === "tunnel" ? tunnelWay(this.scene.graph, this.scene.layout, edge) : null;
    const { x1, y1, x2, y2, bend } = run(edge.kind, from, to);
    const flow = this.scene.flows.get(edge.id);
    const isEndpoint = edge.kind === "endpoint";
    const said = [edge.label, flow ? rate(total(flow)) : ""].filter(Boolean).join(" · ");
    const dash = look.dash.length ? ` stroke-dasharray="${look.dash.join(" ")}"` : "";
    const curve = way ? rounded(way.points) : `M${x1} ${y1}C${x1 + bend} ${y1} ${isEndpoint ? x2 : x2 - bend} ${isEndpoint ? y1 : y2} ${x2} ${y2}`;
    const width = flow ? weight(total(flow)) : 1.5;
    this.parts.push(`<path d="${curve}" fill="none" stroke="${look.colour}" stroke-width="${width}"${dash}>${said ? `<title>${escaped(said)}</title>` : ""}</path>`);
  }

  /** The shapes of states, as on the canvas. */
  private mark(state: string, x: number, y: number): void {
    const { colours } = this;
    if (state === "stranger") {
      this.parts.push(`<path d="M${x} ${y - 5.5}L${x + 5.5} ${y}L${x} ${y + 5.5}L${x - 5.5} ${y}Z" fill="none" stroke="${colours.idle}" stroke-width="1.5"/>`);
      return;
    }
    const { tone, filled, outline, icon } = markOf(state);
    const paint = filled ? `fill="${colours[tone]}"` : `fill="none" stroke="${colours[tone]}" stroke-width="1.8"`;
    const inner = icon ? `<path d="${icon}" fill="${filled ? colours.surface : colours[tone]}"/>` : "";
    this.parts.push(`<g transform="translate(${x} ${y})"><path d="${outline}" ${paint}/>${inner}</g>`);
  }

  private rect(box: Box, radius: number, fill: string, stroke: string, dash = ""): void {
    const dashed = dash ? ` stroke-dasharray="${dash}"` : "";
    this.parts.push(`<rect x="${box.x}" y="${box.y}" width="${box.width}" height="${box.height}" rx="${radius}" fill="${fill}" stroke="${stroke}" stroke-width="1.5"${dashed}/>`);
  }

  private text(content: string, x: number, y: number, size: number, fill: string, anchor = "start"): void {
    this.parts.push(`<text x="${x}" y="${y}" font-size="${size}" fill="${fill}" text-anchor="${anchor}">${escaped(content)}</text>`);
  }
}
