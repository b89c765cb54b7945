// What is known of the chosen node, with links to where it can be changed.
import { fill } from "../words";
import { csrf } from "./moves";
import { icon } from "./tree";
import type { ContainerData, Graph, NetworkData, Node } from "./graph";

type Words = Record<string, string>;

export interface Deeds {
  choose(id: string): void;
  fold(id: string): void;
  folded(id: string): boolean;
  focus(id: string): void;
}

export function panel(place: HTMLElement, graph: Graph, node: Node | undefined, words: Words, deeds: Deeds): void {
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
    button.addEventListener("click", () => deeds.choose(id));
    return button;
  };
  if (node.kind === "container") containerFacts(node.data as ContainerData, fact, to, words);
  else if (node.kind === "network") networkFacts(node, graph, fact, to, words);
  else if (node.kind === "port") portFacts(node, fact, to);
  else if (node.kind === "host") hostFacts(node, fact, words);
  else parts.push(element("p", words["outsideHelp"] ?? "", "text-secondary"));
  if (node.drift) parts.splice(1, 0, element("p", fill(words["drift"] ?? "", { count: node.drift }), "note note-warning"));
  const url = place.dataset[`${node.kind}Url`];
  const row = element("div", "", "panel-actions");
  const target = node.kind === "host" ? "" : node.kind === "port" ? (node.data?.["container"] as { id: string }).id : node.id;
  if (url && node.kind !== "outside") {
    const link = element("a", words["open"] ?? "", "btn btn-sm btn-primary") as HTMLAnchorElement;
    link.href = url.replace("OBJECT", encodeURIComponent(target));
    row.append(link);
  }
  if (node.kind === "network" || node.kind === "container") row.append(does(words["focus"] ?? "", () => deeds.focus(node.id)));
  if (node.kind === "network" && (node.folded || graph.children.get(node.id)?.length)) {
    row.append(does((deeds.folded(node.id) ? words["unfold"] : words["fold"]) ?? "", () => deeds.fold(node.id)));
  }
  if (node.kind === "container") containerActions(place, node, row, words);
  if (row.childElementCount) parts.push(row);
  place.replaceChildren(...parts);
}

function does(text: string, act: (button: HTMLButtonElement) => void): HTMLButtonElement {
  const button = element("button", text, "btn btn-sm") as HTMLButtonElement;
  button.type = "button";
  button.addEventListener("click", () => act(button));
  return button;
}

/** Start and stop at once, over REST; what shows a plan first is a page of its own. */
function containerActions(place: HTMLElement, node: Node, row: HTMLElement, words: Words): void {
  const id = encodeURIComponent(node.id);
  const goTo = (url: string | undefined, text: string | undefined): void => {
    const link = element("a", text ?? "", "btn btn-sm") as HTMLAnchorElement;
    link.href = (url ?? "").replace("OBJECT", id);
    row.append(link);
  };
  const page = place.dataset["containerUrl"] ?? "";
  goTo(`${page}?tab=logs`, words["logs"]);
  if (place.dataset["may"] !== "1") return;
  const verb = node.data?.["wanted"] === "running" ? "stop" : "start";
  row.append(does(words[verb] ?? verb, (button) => void order(`/api/v1/containers/${id}/${verb}?wait=0`, button, row)));
  goTo(place.dataset["connectUrl"], words["connect"]);
  goTo(`${page}?tab=exec`, words["commands"]);
}

async function order(url: string, button: HTMLButtonElement, row: HTMLElement): Promise<void> {
  button.disabled = true;
  row.querySelector("[role=alert]")?.remove();
  const answer = await fetch(url, { method: "POST", headers: { "Content-Type": "application/json", "X-CSRFToken": csrf() }, body: "{}" }).catch(() => null);
  if (answer?.ok) return; // the feed brings the new state, and with it a new panel
  button.disabled = false;
  const problem = answer ? ((await answer.json().catch(() => ({}))) as { detail?: string; remedy?: string }) : {};
  const said = element("p", [problem.detail, problem.remedy].filter(Boolean).join(" ") || (answer?.statusText ?? "—"), "note note-error");
  said.setAttribute("role", "alert");
  row.prepend(said);
}

type Fact = (term: string, value: string | HTMLElement) => void;
type To = (id: string, name: string) => HTMLElement;

function containerFacts(data: ContainerData, fact: Fact, to: To, words: Words): void {
  fact("state", words[`state.${data.state}`] ?? data.state);
  fact("image", data.image);
  if (!data.endpoints.length) fact("network", data.network_mode);
  for (const item of data.endpoints) {
    const line = element("span", "");
    line.append(to(item.network.id, item.network.name), element("span", ` ${[item.interface, item.ipv4, item.ipv6, item.mac].filter(Boolean).join(" ")}`, "mono"));
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
