// From afar: very many containers and edges as plain shapes, drawn together. A path of its own for each is what costs.
import type { Scene } from "./draw";
import type { Edge } from "./graph";
import type { Box } from "./layout";
import type { Palette } from "./palette";

type Seen = (box: Box) => boolean;

export function isBright(scene: Scene, id: string): boolean {
  return scene.bright === null || scene.bright.has(id);
}

export function edgeLooks(colours: Palette): Record<Edge["kind"], { colour: string; dash: number[] }> {
    return {
      port: { colour: colours.port, dash: [] },
      outside: { colour: colours.outside, dash: [] },
      endpoint: { colour: colours.network, dash: [] },
      link: { colour: colours.container, dash: [6, 4] },
      shared: { colour: colours.idle, dash: [2, 3] },
    };
  }

export function dots(pen: CanvasRenderingContext2D, colours: Palette, scene: Scene, seen: Seen): void {
    const bands = new Map<string, Box[]>();
    for (const node of scene.graph.nodes.values()) {
      if (node.kind !== "container" && node.kind !== "port") continue;
      const box = scene.layout.boxes.get(node.id);
      if (!box || !seen(box)) continue;
      const key = `${node.kind === "port" ? "port" : node.state === "running" ? "running" : node.state === "failed" ? "failed" : "still"}${isBright(scene, node.id) ? "" : "-"}`;
      const band = bands.get(key);
      if (band) band.push(box);
      else bands.set(key, [box]);
    }
    const looks = new Map([
      ["port", [colours.portBg, colours.port]],
      ["running", [colours.surface, colours.good]],
      ["failed", [colours.bad, colours.bad]],
      ["still", [colours.surface, colours.lineStrong]],
    ]);
    for (const [key, boxes] of bands) {
      const [fill, edge] = looks.get(key.replace("-", "")) ?? [colours.surface, colours.idle];
      pen.globalAlpha = key.endsWith("-") ? 0.18 : 1;
      pen.fillStyle = edge!;
      for (const box of boxes) pen.fillRect(box.x, box.y, box.width, box.height);
      pen.fillStyle = fill!;
      for (const box of boxes) pen.fillRect(box.x + 5, box.y + 5, box.width - 10, box.height - 10);
    }
    pen.globalAlpha = 1;
  }

/** Very many edges from afar: straight, thin, one stroke a kind. */
export function lines(pen: CanvasRenderingContext2D, colours: Palette, scene: Scene, seen: Seen): void {
    const looks = edgeLooks(colours);
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
