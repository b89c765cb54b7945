// What is known of the chosen node, and what can be done with it.
import { fill } from "../words";
import { actions, leaving, type Deeds } from "./actions";
import { title } from "./draw";
import { button, element, icon, type Words } from "./elements";
import { facts } from "./facts";
import type { Graph, Node } from "./graph";

export function panel(place: HTMLElement, graph: Graph, node: Node | undefined, words: Words, deeds: Deeds, past: boolean): void {
  if (!node) {
    if (!place.querySelector("h2") && place.textContent === words["choose"]) return;
    place.replaceChildren(element("p", words["choose"] ?? "", "text-secondary mb-0"));
    return;
  }
  const focused = place.contains(document.activeElement) ? document.activeElement?.textContent : null;
  const head = element("h2", "", "panel-title");
  head.append(icon(iconName(node), node.kind), ` ${title(node, words)}`);
  const parts: HTMLElement[] = [head];
  if (node.drift) parts.push(element("p", fill(words["drift"] ?? "", { count: node.drift }), "note note-warning"));
  const to = (id: string, name: string): HTMLElement => button(name, () => deeds.choose(id), "btn-link-inline");
  const row = actions(place, graph, node, words, deeds, past);
  if (row.childElementCount) parts.push(row);
  if (node.kind === "outside") parts.push(element("p", words["outsideHelp"] ?? "", "text-secondary"));
  else parts.push(facts(node, graph, to, words, (network) => (past ? null : leaving(place, graph, node, network, words))));
  if (node.kind === "foreign" || node.kind === "stranger") parts.push(element("p", words["foreignHelp"] ?? "", "because"));
  place.replaceChildren(...parts);
  if (place.dataset["shown"] !== node.id) place.scrollTop = 0;
  place.dataset["shown"] = node.id;
  if (focused) [...place.querySelectorAll<HTMLElement>("button, a")].find((item) => item.textContent === focused)?.focus();
}

const ICONS: Record<Node["kind"], string> = {
  host: "server-2",
  network: "network",
  group: "tag",
  container: "box",
  port: "plug-connected",
  outside: "world",
  foreign: "router",
  stranger: "circle-dashed",
};

export function iconName(node: Node): string {
  return ICONS[node.kind];
}
