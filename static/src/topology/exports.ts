// The graph as a file: a picture (SVG, PNG), a Mermaid flow chart, or JSON.
import { Painter, type Scene } from "./draw";
import { type Edge, type Graph, type Node } from "./graph";
import { HOST_HEAD, NETWORK_HEAD, type Box } from "./layout";
import type { Palette } from "./palette";

export type Format = "svg" | "png" | "mermaid" | "json";

const MARGIN = 24;
const MOST_PIXELS = 8192;

export function asJson(graph: Graph): string {
  const nodes = [...graph.nodes.values()].map(({ id, kind, name, detail, state, parent }) => ({ id, kind, name, detail, state, parent }));
  return `${JSON.stringify({ nodes, edges: graph.edges }, null, 2)}\n`;
}

/** Hosts and networks as subgraphs; text in quotes, with what Mermaid takes for its own written as entities. */
export function asMermaid(graph: Graph, outsideName: string): string {
  const numbers = new Map([...graph.nodes.keys()].map((id, number) => [id, `n${number}`]));
  const quoted = (text: string): string => `"${text.replace(/&/g, "#amp;").replace(/"/g, "#quot;").replace(/</g, "#lt;").replace(/>/g, "#gt;")}"`;
  const lines = ["flowchart LR"];
  const write = (node: Node, depth: number): void => {
    const indent = "  ".repeat(depth);
    const name = node.kind === "outside" ? outsideName : node.name;
    const label = quoted([name, node.detail].filter(Boolean).join(" · "));
    const children = graph.children.get(node.id) ?? [];
    if (children.length) {
      lines.push(`${indent}subgraph ${numbers.get(node.id)}[${label}]`);
      for (const child of children) write(graph.nodes.get(child)!, depth + 1);
      lines.push(`${indent}end`);
    } else if (node.kind === "port") lines.push(`${indent}${numbers.get(node.id)}([${label}])`);
    else lines.push(`${indent}${numbers.get(node.id)}[${label}]`);
  };
  for (const node of graph.nodes.values()) if (node.parent === null) write(node, 1);
  const arrows: Record<Edge["kind"], string> = { port: "-->", outside: "-->", endpoint: "---", link: "-.->", shared: "-.-" };
  for (const edge of graph.edges) {
    const label = edge.label ? `|${quoted(edge.label)}|` : "";
    lines.push(`  ${numbers.get(edge.from)} ${arrows[edge.kind]}${label} ${numbers.get(edge.to)}`);
  }
  return `${lines.join("\n")}\n`;
}

const escaped = (text: string): string => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;");

export function asSvg(scene: Scene, colours: Palette): string {
  const { graph, layout } = scene;
  const { bounds } = layout;
  const view = [bounds.x - 60 - MARGIN, bounds.y - MARGIN, bounds.width + 60 + 2 * MARGIN, bounds.height + 2 * MARGIN];
  const parts: string[] = [];
  const rect = (box: Box, radius: number, fill: string, stroke: string): number =>
    parts.push(`<rect x="${box.x}" y="${box.y}" width="${box.width}" height="${box.height}" rx="${radius}" fill="${fill}" stroke="${stroke}" stroke-width="1.5"/>`);
  const text = (content: string, x: number, y: number, size: number, fill: string, anchor = "start"): number =>
    parts.push(`<text x="${x}" y="${y}" font-size="${size}" fill="${fill}" text-anchor="${anchor}">${escaped(content)}</text>`);
  const draw = (kind: Node["kind"], one: (node: Node, box: Box) => void): void => {
    for (const node of graph.nodes.values()) {
      const box = layout.boxes.get(node.id);
      if (node.kind === kind && box) one(node, box);
    }
  };
  draw("host", (node, box) => {
    rect(box, 16, colours.surface, colours.lineStrong);
    text(node.name, box.x + 62, box.y + HOST_HEAD / 2, 15, colours.host);
  });
  draw("network", (node, box) => {
    rect(box, 11, colours.networkBg, colours.network);
    text(node.name, box.x + 16, box.y + 17, 13, colours.network);
    text(node.detail, box.x + 16, box.y + 33, 11, colours.ink2);
    if (node.folded) text(`+ ${node.folded}`, box.x + box.width / 2, box.y + NETWORK_HEAD + 22, 13, colours.ink2, "middle");
  });
  for (const edge of graph.edges) line(edge, scene, colours, parts);
  draw("container", (node, box) => {
    rect(box, 8, colours.surface, node.state === "failed" ? colours.bad : colours.container);
    parts.push(`<circle cx="${box.x + 15}" cy="${box.y + box.height / 2}" r="5" fill="${node.state === "running" ? colours.good : node.state === "failed" ? colours.bad : colours.idle}"/>`);
    text(node.name, box.x + 29, box.y + 20, 12.5, colours.ink);
    text(node.detail, box.x + 29, box.y + 36, 11, colours.ink2);
  });
  draw("port", (node, box) => {
    rect(box, box.height / 2, colours.portBg, colours.port);
    text(node.name, box.x + box.width / 2, box.y + box.height / 2 + 4, 11.5, colours.port, "middle");
  });
  draw("outside", (_node, box) => {
    rect(box, 14, colours.outsideBg, colours.outside);
    text(scene.outsideName, box.x + box.width / 2, box.y + box.height / 2 + 4, 12.5, colours.outside, "middle");
  });
  const font = escaped(colours.font.replace(/"/g, "'"));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="${view.join(" ")}" width="${view[2]}" height="${view[3]}" font-family="${font}"><rect x="${view[0]}" y="${view[1]}" width="${view[2]}" height="${view[3]}" fill="${colours.surface2}"/>${parts.join("\n")}</svg>\n`;
}

function line(edge: Edge, scene: Scene, colours: Palette, parts: string[]): void {
  const from = scene.layout.boxes.get(edge.from);
  const to = scene.layout.boxes.get(edge.to);
  if (!from || !to) return;
  const colour = { port: colours.port, outside: colours.outside, endpoint: colours.network, link: colours.container, shared: colours.idle }[edge.kind];
  const dash = edge.kind === "link" ? ' stroke-dasharray="6 4"' : edge.kind === "shared" ? ' stroke-dasharray="2 3"' : "";
  const rightward = from.x + from.width / 2 <= to.x + to.width / 2;
  const x1 = rightward ? from.x + from.width : from.x;
  const y1 = from.y + from.height / 2;
  const x2 = rightward ? to.x : to.x + to.width;
  const y2 = to.y + to.height / 2;
  const bend = Math.max(24, Math.abs(x2 - x1) / 2) * (rightward ? 1 : -1);
  const said = edge.label ? `<title>${escaped(edge.label)}</title>` : "";
  parts.push(`<path d="M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}" fill="none" stroke="${colour}" stroke-width="1.5"${dash}>${said}</path>`);
}

/** The whole picture, twice as fine as the screen where it fits into what browsers can draw. */
export function asPng(scene: Scene, colours: Palette): Promise<Blob | null> {
  const { bounds } = scene.layout;
  const width = bounds.width + 60 + 2 * MARGIN;
  const height = bounds.height + 2 * MARGIN;
  const fine = Math.min(2, MOST_PIXELS / Math.max(width, height));
  const ratio = window.devicePixelRatio || 1;
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(width * fine);
  canvas.height = Math.round(height * fine);
  const k = fine / ratio;
  const still = { ...scene, selected: null, hovered: null, bright: null, drawing: null };
  new Painter(canvas, colours).paint(still, { x: (60 + MARGIN) * k, y: MARGIN * k, k });
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

export async function download(format: Format, scene: Scene, colours: Palette): Promise<void> {
  const texts: Record<Exclude<Format, "png">, [() => string, string, string]> = {
    svg: [() => asSvg(scene, colours), "image/svg+xml", "svg"],
    mermaid: [() => asMermaid(scene.graph, scene.outsideName), "text/plain", "mmd"],
    json: [() => asJson(scene.graph), "application/json", "json"],
  };
  const [write, type, ending] = format === "png" ? [null, "", "png"] : texts[format];
  const blob = write ? new Blob([write()], { type }) : await asPng(scene, colours);
  if (!blob) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `topology.${ending}`;
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
