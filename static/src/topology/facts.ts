// What is known of a node, as terms and descriptions.
import { element, mono, type Words } from "./elements";
import { binding, type ContainerData, type EndpointData, type Graph, type NetworkData, type Node } from "./graph";
import { rate } from "./traffic";
import { roomId } from "./rooms";
import type { Flow } from "../live/traffic";

export type Choose = (id: string, name: string) => HTMLElement;
type Fact = (term: string, value: string | HTMLElement) => void;

/** What can be done about an endpoint, to stand beside it; null: nothing, or not by this person. */
export type Leave = (network: string) => HTMLElement | null;

export function facts(node: Node, graph: Graph, to: Choose, words: Words, leave: Leave): HTMLElement {
  const list = element("dl", "", "facts");
  const fact: Fact = (term, value) => {
    if (value === "") return;
    list.append(element("dt", words[term] ?? term));
    const description = element("dd", "");
    description.append(value);
    list.append(description);
  };
  OF[node.kind]?.(node, graph, fact, to, words, leave);
  return list;
}

type Tell = (node: Node, graph: Graph, fact: Fact, to: Choose, words: Words, leave: Leave) => void;
const OF: Partial<Record<Node["kind"], Tell>> = {
  container: (node, graph, fact, to, words, leave) => container(node.data as ContainerData, graph, fact, to, words, leave),
  network,
  group: (node, graph, fact, to) => members(graph, node, fact, to),
  port: (node, _graph, fact, to) => port(node, fact, to),
  host: (node, _graph, fact, _to, words) => host(node, fact, words),
  foreign,
  stranger,
};

/** A place for a figure of traffic, filled by `showFlows`. */
function figure(id: string): HTMLElement {
  const place = element("span", "", "flow mono");
  place.dataset["flow"] = id;
  return place;
}

/** Write the figures of now into every place for them; `flow` gives nothing where nothing moves, null where nothing is known. */
export function showFlows(place: ParentNode, flow: ((id: string) => Flow | undefined) | null, words: Words): void {
  for (const item of place.querySelectorAll<HTMLElement>("[data-flow]")) {
    const [bytesTo, packetsTo, bytesFrom, packetsFrom] = flow?.(item.dataset["flow"] ?? "") ?? [0, 0, 0, 0];
    const text = flow ? `↓ ${rate(bytesTo)} · ${packetsTo} ${words["packets"]}, ↑ ${rate(bytesFrom)} · ${packetsFrom} ${words["packets"]}` : "—";
    if (item.textContent !== text) item.textContent = text;
  }
}

function container(data: ContainerData, graph: Graph, fact: Fact, to: Choose, words: Words, leave: Leave): void {
  fact("state", words[`state.${data.state}`] ?? data.state);
  fact("image", data.image);
  if (!data.endpoints.length) fact("network", data.network_mode);
  for (const item of data.endpoints) fact("endpoint", endpoint(item, data, graph, to, leave(item.network.name)));
  for (const item of data.ports) {
    const line = element("span", "");
    line.append(mono(`${binding(item)} → ${item.container_port}/${item.protocol}`), element("br", ""), figure(`port:${item.id}`));
    fact("port", line);
  }
  for (const item of data.links) {
    const line = element("span", "");
    line.append(to(item.source.id, item.source.name), ` (${item.alias})`);
    fact("link", line);
  }
}

function endpoint(item: EndpointData, container: ContainerData, graph: Graph, to: Choose, leave: HTMLElement | null): HTMLElement {
  const line = element("span", "");
  if (leave) line.append(leave);
  const here = roomId(item.network.id, container.host); // of a network that spans hosts
  line.append(to(graph.nodes.has(here) ? here : item.network.id, item.network.name), mono(` ${[item.interface, item.ipv4, item.ipv6, item.mac].filter(Boolean).join(" ")}`));
  if (item.device) line.append(element("br", ""), figure(`${container.id}>${item.network.id}`));
  return line;
}

function network(node: Node, graph: Graph, fact: Fact, to: Choose, words: Words): void {
  const data = node.data as NetworkData;
  fact("driver", data.driver);
  fact("state", words[`state.${data.status}`] ?? data.status);
  for (const item of data.subnets) fact("subnet", mono(item.subnet));
  if (data.bridge) fact("bridge", mono(data.bridge));
  if (data.bridge) fact("traffic", figure(node.id));
  members(graph, node, fact, to);
}

function members(graph: Graph, node: Node, fact: Fact, to: Choose): void {
  const inside = (graph.children.get(node.id) ?? []).map((id) => graph.nodes.get(id)!);
  const guests = graph.edges.filter((edge) => edge.kind === "endpoint" && edge.to === node.id).map((edge) => graph.nodes.get(edge.from)!);
  const list = element("span", "");
  for (const member of [...inside, ...guests].slice(0, 30)) list.append(to(member.id, member.name), " ");
  if (inside.length + guests.length > 30) list.append("…");
  if (inside.length + guests.length) fact("containers", list);
}

function port(node: Node, fact: Fact, to: Choose): void {
  const data = node.data as { host_address: string; host_port: number; container_port: number; protocol: string; container: { id: string; name: string } };
  fact("address", mono(`${binding(data)}/${data.protocol}`));
  const line = element("span", "");
  line.append(to(data.container.id, data.container.name), ` :${data.container_port}`);
  fact("container", line);
  fact("traffic", figure(node.id));
}

function host(node: Node, fact: Fact, words: Words): void {
  fact("state", words[`state.${node.state}`] ?? node.state);
  fact("kernel", mono(node.detail));
  fact("firewall", String(node.data?.["firewall_backend"] ?? ""));
}

function foreign(node: Node, graph: Graph, fact: Fact, to: Choose, words: Words): void {
  const data = node.data as { program?: string; network?: string; addresses?: string[]; apart?: boolean };
  if (!data.apart) {
    fact("program", words[`program.${data.program ?? ""}`] ?? data.program ?? "");
    fact("network", data.network ?? "");
    fact("state", words[node.state] ?? node.state);
    for (const address of data.addresses ?? []) fact("address", mono(address));
    fact("traffic", figure(node.id));
  }
  const inside = element("span", "");
  for (const id of (graph.children.get(node.id) ?? []).slice(0, 30)) inside.append(to(id, graph.nodes.get(id)!.name), " ");
  if (inside.childElementCount) fact("plugged", inside);
}

function stranger(node: Node, _graph: Graph, fact: Fact, _to: Choose, words: Words): void {
  const data = node.data as { program: string; endpoints: { device: string; bridge: string; interface: string; addresses: string[] }[] };
  fact("program", words[`program.${data.program}`] ?? data.program);
  for (const item of data.endpoints) {
    fact("endpoint", mono([item.interface, ...item.addresses, `(${[item.device, item.bridge].filter(Boolean).join(" @ ")})`].filter(Boolean).join(" ")));
  }
  if (data.endpoints.length) fact("traffic", figure(node.id));
}
