// The picture in words, for those who do not look at it.
import { fill } from "../words";
import { title } from "./draw";
import type { Words } from "./elements";
import type { Graph, Node } from "./graph";
import { networkOf } from "./rooms";

/** How much of what there is. */
export function summary(graph: Graph, words: Words): string {
  const counts: Partial<Record<Node["kind"], number>> = {};
  const networks = new Set<string>(); // one that spans hosts has several rooms
  for (const node of graph.nodes.values()) {
    if (node.kind === "network") networks.add(networkOf(node));
    else counts[node.kind] = (counts[node.kind] ?? 0) + 1;
  }
  return fill(words["summary"] ?? "", { networks: networks.size, containers: counts.container ?? 0, ports: counts.port ?? 0 });
}

/** A node as a row of the tree says it. */
export function label(node: Node, words: Words): string {
  const state = node.state ? words[`state.${node.state}`] ?? words[node.state] ?? node.state : "";
  const drift = node.drift ? fill(words["drift"] ?? "", { count: node.drift }) : "";
  const folded = node.folded ? fill(words["folded"] ?? "", { count: node.folded }) : "";
  return [words[`kind.${node.kind}`] ?? node.kind, title(node, words), state, node.detail, drift, folded].filter(Boolean).join(", ");
}
