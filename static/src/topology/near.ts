// Parts of a graph: what is near a node, and what is left when only some is wanted. Pure.
import { OUTSIDE, type Graph } from "./model";
import { partsOf } from "./rooms";

/** What is one step away by a line or by holding: what stays bright when a node is chosen. */
export function neighbours(from: Graph, id: string): Set<string> {
  const near = new Set([id]);
  for (const room of partsOf(from, id)) near.add(room);
  for (const edge of from.edges) {
    if (edge.from === id) near.add(edge.to);
    if (edge.to === id) near.add(edge.from);
  }
  for (const child of from.children.get(id) ?? []) near.add(child);
  for (let up = from.nodes.get(id)?.parent ?? null; up; up = from.nodes.get(up)?.parent ?? null) near.add(up);
  return near;
}

/** `id`, what it touches and holds, and the rooms in which all that stands. */
export function around(from: Graph, id: string): Graph {
  const kept = neighbours(from, id);
  const deep = (inside: string): void => {
    for (const child of from.children.get(inside) ?? []) {
      kept.add(child);
      deep(child);
    }
  };
  deep(id);
  return only(from, kept);
}

/** These nodes, and the rooms and hosts in which they stand. */
export function withRooms(from: Graph, wanted: ReadonlySet<string>): Set<string> {
  const all = new Set(wanted);
  for (const node of wanted) {
    for (let up = from.nodes.get(node)?.parent ?? null; up; up = from.nodes.get(up)?.parent ?? null) all.add(up);
  }
  return all;
}

/** Of a graph the nodes `wanted`, with the rooms and hosts in which they stand, and the edges between those. */
export function only(from: Graph, wanted: ReadonlySet<string>): Graph {
  const kept = withRooms(from, wanted);
  return {
    ...from,
    nodes: new Map([...from.nodes].filter(([key]) => kept.has(key))),
    edges: from.edges.filter((edge) => kept.has(edge.from) && kept.has(edge.to)),
    children: new Map([...from.children].map(([key, list]) => [key, list.filter((child) => kept.has(child))])),
  };
}

/** Without these nodes, what they hold, the ports that lead there, and an outside to which nothing is open. */
export function without(from: Graph, hidden: ReadonlySet<string>): Graph {
  const gone = new Set<string>();
  const take = (id: string): void => {
    gone.add(id);
    for (const child of from.children.get(id) ?? []) take(child);
  };
  for (const id of hidden) take(id);
  for (const edge of from.edges) if (edge.kind === "port" && gone.has(edge.to)) gone.add(edge.from);
  if (!from.edges.some((edge) => edge.kind === "outside" && !gone.has(edge.to))) gone.add(OUTSIDE);
  return only(from, new Set([...from.nodes.keys()].filter((id) => !gone.has(id))));
}
