// The way of a tunnel between two hosts: through the lanes that the packing leaves free beside rooms and between hosts. Pure.
import type { Edge, Graph } from "./model";
import type { Layout } from "./layout";

type Point = readonly [number, number];

const LANE = 14;
const BELOW = 24;
const ROUND = 9;
/** Where at its room a tunnel ends: beside the name. */
const AT = 20;

/** The corners of its way, and the place between the hosts where what it has to say can stand; null: an end has no place. */
export function tunnelWay(graph: Graph, layout: Layout, edge: Edge): { points: Point[]; label: Point } | null {
  const from = layout.boxes.get(edge.from);
  const to = layout.boxes.get(edge.to);
  const hosts = [edge.from, edge.to].map((id) => layout.boxes.get(graph.nodes.get(id)?.parent ?? id));
  if (!from || !to || !hosts[0] || !hosts[1]) return null;
  const [start, end]: Point[] = [[from.x, from.y + AT], [to.x, to.y + AT]];
  const lanes = [from.x - LANE, to.x - LANE] as const;
  const bottom = (number: 0 | 1): number => hosts[number]!.y + hosts[number]!.height;
  const between = hosts[0].y === hosts[1].y ? Math.max(bottom(0), bottom(1)) : Math.min(bottom(0), bottom(1));
  const level = between + BELOW;
  const turns: Point[] = lanes[0] === lanes[1] ? [] : [[lanes[0], level], [lanes[1], level]];
  return { points: [start!, [lanes[0], start![1]], ...turns, [lanes[1], end![1]], end!], label: [(lanes[0] + lanes[1]) / 2, level] };
}

/** A line through these points with its corners rounded, as the data of a path. */
export function rounded(points: readonly Point[]): string {
  const [first, ...rest] = points;
  let path = `M${first![0]} ${first![1]}`;
  rest.forEach((corner, at) => {
    const before = points[at]!;
    const after = rest[at + 1];
    if (!after) path += `L${corner[0]} ${corner[1]}`;
    else path += `L${toward(corner, before).join(" ")}Q${corner.join(" ")} ${toward(corner, after).join(" ")}`;
  });
  return path;
}

/** From `corner` a little way to `other`, at most half of it. */
function toward(corner: Point, other: Point): Point {
  const [dx, dy] = [other[0] - corner[0], other[1] - corner[1]];
  const length = Math.hypot(dx, dy) || 1;
  const part = Math.min(ROUND, length / 2) / length;
  return [corner[0] + dx * part, corner[1] + dy * part];
}
