// From afar: very many containers and edges as plain shapes, drawn together. A path of its own for each is what costs.
import { isGuest, type Edge, type Node } from "./graph";
import type { Box } from "./layout";
import type { Palette } from "./palette";
import { isBright, type Scene } from "./scene";

type Seen = (box: Box) => boolean;

/** What a band of boxes has in common: how it looks, and whether it is bright. */
const LOOKS = ["port", "running", "failed", "still"] as const;

function lookOf(node: Node): number {
  if (node.kind === "port") return 0;
  if (node.kind === "stranger") return 3;
  return node.state === "running" ? 1 : node.state === "failed" ? 2 : 3;
}

export function dots(pen: CanvasRenderingContext2D, colours: Palette, scene: Scene, seen: Seen): void {
  const bright: Box[][] = LOOKS.map(() => []);
  const dim: Box[][] = LOOKS.map(() => []);
  const { boxes } = scene.layout;
  for (const node of scene.graph.nodes.values()) {
    if (!isGuest(node) && node.kind !== "port") continue;
    const box = boxes.get(node.id);
    if (box && seen(box)) (isBright(scene, node.id) ? bright : dim)[lookOf(node)]!.push(box);
  }
  const looks: Record<(typeof LOOKS)[number], [edge: string, fill: string]> = {
    port: [colours.port, colours.portBg],
    running: [colours.good, colours.surface],
    failed: [colours.bad, colours.bad],
    still: [colours.lineStrong, colours.surface],
  };
  for (const [bands, alpha] of [[dim, 0.18], [bright, 1]] as const) {
    pen.globalAlpha = alpha;
    LOOKS.forEach((look, number) => {
      const [edge, fill] = looks[look];
      pen.fillStyle = edge;
      for (const box of bands[number]!) pen.fillRect(box.x, box.y, box.width, box.height);
      pen.fillStyle = fill;
      for (const box of bands[number]!) pen.fillRect(box.x + 5, box.y + 5, box.width - 10, box.height - 10);
    });
  }
  pen.globalAlpha = 1;
}

/** Very many edges from afar: straight, thin, one stroke a kind. */
export function lines(
  pen: CanvasRenderingContext2D,
  looks: Record<Edge["kind"], { colour: string }>,
  scene: Scene,
  seen: Seen,
): void {
  const paths = new Map<Edge["kind"], Path2D>();
  for (const edge of scene.graph.edges) {
    const from = scene.layout.boxes.get(edge.from);
    const to = scene.layout.boxes.get(edge.to);
    if (!from || !to || !(seen(from) || seen(to)) || !(isBright(scene, edge.from) && isBright(scene, edge.to))) continue;
    let path = paths.get(edge.kind);
    if (!path) paths.set(edge.kind, (path = new Path2D()));
    path.moveTo(from.x + from.width / 2, from.y + from.height / 2);
    path.lineTo(to.x + to.width / 2, to.y + to.height / 2);
  }
  pen.globalAlpha = 0.25;
  pen.lineWidth = 1;
  for (const [kind, path] of paths) {
    pen.strokeStyle = looks[kind].colour;
    pen.stroke(path);
  }
  pen.globalAlpha = 1;
}
