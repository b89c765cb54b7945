// What is known of the chosen node, with links to where it can be changed.
import { icon } from "./tree";
import type { ContainerData, Graph, NetworkData, Node } from "./graph";

type Words = Record<string, string>;

export function panel(place: HTMLElement, graph: Graph, node: Node | undefined, words: Words, choose: (id: string) => void): void {
  if (!node) {
    place.replaceChildren(element("p", words["choose"] ?? "", "text-secondary mb-0"));
    return;
  }
  const head = element("h2", "", "panel-title");
  head.append(icon(iconName(node), node.kind), ` ${node.name || words["outside"] || ""}`);
  const facts = element("dl", "", "facts");
  const fact = (term: string, value: string | HTMLElement): void => {
    if (value === "") return;
    facts.append(element("dt", words[term] ?? term));
    const description = element("dd", "");
    description.append(value);
    facts.append(description);
  };
  const parts: HTMLElement[] = [head, facts];
  const to = (id: string, name: string): HTMLElement => {
    const button = element("button", name, "btn-link-inline") as HTMLButtonElement;
    button.type = "button";
    button.addEventListener("click", () => choose(id));
    return button;
  };
  if (node.kind === "container") containerFacts(node.data as ContainerData, fact, to, words);
  else if (node.kind === "network") networkFacts(node, graph, fact, to, words);
  else if (node.kind === "port") portFacts(node, fact, to);
  else if (node.kind === "host") hostFacts(node, fact, words);
  else parts.push(element("p", words["outsideHelp"] ?? "", "text-secondary"));
  const url = place.dataset[`${node.kind}Url`];
  const target = node.kind === "host" ? "" : node.kind === "port" ? (node.data?.["container"] as { id: string }).id : node.id;
  if (url && node.kind !== "outside") {
    const link = element("a", words["open"] ?? "", "btn btn-sm btn-primary") as HTMLAnchorElement;
    link.href = url.replace("OBJECT", encodeURIComponent(target));
    parts.push(link);
  }
  place.replaceChildren(...parts);
}

type Fact = (term: string, value: string | HTMLElement) => void;
type To = (id: string, name: string) => HTMLElement;

function containerFacts(data: ContainerData, fact: Fact, to: To, words: Words): void {
  fact("state", words[`state.${data.state}`] ?? data.state);
  fact("image", data.image);
  if (!data.endpoints.length) fact("network", data.network_mode);
  for (const item of data.endpoints) {
    const line = element("span", "");
    line.append(to(item.network.id, item.network.name), element("span", ` ${item.interface} ${[item.ipv4, item.ipv6].filter(Boolean).join(" ")}`, "mono"));
    fact("endpoint", line);
  }
  for (const item of data.ports) {
    fact("port", mono(`${item.host_address || "*"}:${item.host_port || "…"} → ${item.container_port}/${item.protocol}`));
  }
  for (const item of data.links) {
    const line = element("span", "");
    line.append(to(item.source.id, item.source.name), ` (${item.alias})`);
    fact("link", line);
  }
}

function networkFacts(node: Node, graph: Graph, fact: Fact, to: To, words: Words): void {
  const data = node.data as NetworkData;
  fact("driver", data.driver);
  fact("state", words[`state.${data.status}`] ?? data.status);
  for (const item of data.subnets) fact("subnet", mono(item.subnet));
  if (data.bridge) fact("bridge", mono(data.bridge));
  const members = (graph.children.get(node.id) ?? []).map((id) => graph.nodes.get(id)!);
  const guests = graph.edges.filter((edge) => edge.kind === "endpoint" && edge.to === node.id).map((edge) => graph.nodes.get(edge.from)!);
  const list = element("span", "");
  for (const member of [...members, ...guests].slice(0, 30)) list.append(to(member.id, member.name), " ");
  if (members.length + guests.length > 30) list.append("…");
  if (members.length + guests.length) fact("containers", list);
}

function portFacts(node: Node, fact: Fact, to: To): void {
  const data = node.data as { host_address: string; host_port: number; container_port: number; protocol: string; container: { id: string; name: string } };
  fact("address", mono(`${data.host_address || "*"}:${data.host_port}/${data.protocol}`));
  const line = element("span", "");
  line.append(to(data.container.id, data.container.name), ` :${data.container_port}`);
  fact("container", line);
}

function hostFacts(node: Node, fact: Fact, words: Words): void {
  fact("state", words[`state.${node.state}`] ?? node.state);
  fact("kernel", mono(node.detail));
  fact("firewall", String(node.data?.["firewall_backend"] ?? ""));
}

function mono(value: string): HTMLElement {
  return element("span", value, "mono");
}

function element(tag: string, content: string, className = ""): HTMLElement {
  const item = document.createElement(tag);
  item.textContent = content;
  if (className) item.className = className;
  return item;
}

export function iconName(node: Node): string {
  return { host: "server-2", network: "network", container: "box", port: "plug-connected", outside: "world" }[node.kind];
}
