// The graph as a file: a picture (SVG, PNG), a Mermaid flow chart, or JSON.
import { Painter, title } from "./draw";
import type { ContainerData, Edge, EndpointData, Graph, Node } from "./graph";
import type { Palette } from "./palette";
import type { Scene } from "./scene";
import { asSvg, MARGIN } from "./svg";

export type Format = "svg" | "png" | "mermaid" | "json";

const MOST_PIXELS = 8192;

export function asJson(graph: Graph): string {
  const nodes = [...graph.nodes.values()].map((node) => {
    const { id, kind, name, detail, state, parent } = node;
    return { id, kind, name, detail, state, parent, ...(kind === "container" ? { endpoints: (node.data as ContainerData).endpoints.map(endpoint) } : {}) };
  });
  return `${JSON.stringify({ nodes, edges: graph.edges }, null, 2)}\n`;
}

/** For the one in the network in which a container stands there is no edge. */
function endpoint({ network, interface: name, ipv4, ipv6, mac, device }: EndpointData): object {
  return { network: network.id, interface: name, ipv4, ipv6, mac, device };
}

/** Hosts and networks as subgraphs; text in quotes, with what Mermaid takes for its own written as entities. */
export function asMermaid(graph: Graph, words: Record<string, string>): string {
  const numbers = new Map([...graph.nodes.keys()].map((id, number) => [id, `n${number}`]));
  const quoted = (text: string): string => `"${text.replace(/&/g, "#amp;").replace(/"/g, "#quot;").replace(/</g, "#lt;").replace(/>/g, "#gt;")}"`;
  const lines = ["flowchart LR"];
  const write = (node: Node, depth: number): void => {
    const indent = "  ".repeat(depth);
    const label = quoted([title(node, words), node.detail].filter(Boolean).join(" · "));
    const children = graph.children.get(node.id) ?? [];
    if (children.length) {
      lines.push(`${indent}subgraph ${numbers.get(node.id)}[${label}]`);
      for (const child of children) write(graph.nodes.get(child)!, depth + 1);
      lines.push(`${indent}end`);
    } else if (node.kind === "port") lines.push(`${indent}${numbers.get(node.id)}([${label}])`);
    else lines.push(`${indent}${numbers.get(node.id)}[${label}]`);
  };
  for (const node of graph.nodes.values()) if (node.parent === null) write(node, 1);
  const arrows: Record<Edge["kind"], string> = { port: "-->", outside: "-->", endpoint: "---", link: "-.->", shared: "-.-", tunnel: "<-->" };
  for (const edge of graph.edges) {
    const label = edge.label ? `|${quoted(edge.label)}|` : "";
    lines.push(`  ${numbers.get(edge.from)} ${arrows[edge.kind]}${label} ${numbers.get(edge.to)}`);
  }
  return `${lines.join("\n")}\n`;
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
    mermaid: [() => asMermaid(scene.graph, scene.words), "text/plain", "mmd"],
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
