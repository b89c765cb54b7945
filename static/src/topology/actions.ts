// What can be done with the chosen node: at once over REST, or on a page of its own that shows the plan first. Who may only look gets
// the links that look.
import { signedOut } from "../shell/signed_out";
import { button, element, icon, link, type Words } from "./elements";
import type { ContainerData, Graph, Node } from "./graph";
import { csrf } from "./moves";
import { networkOf } from "./rooms";

export interface Deeds {
  choose(id: string): void;
  fold(id: string): void;
  folded(id: string): boolean;
  focus(id: string): void;
  hide(id: string): void;
  /** Wait for another container to be chosen, and ask what a packet from this one to it would do. */
  trace(from: Node): void;
}

export function actions(place: HTMLElement, graph: Graph, node: Node, words: Words, deeds: Deeds, past: boolean): HTMLElement {
  const row = element("div", "", "panel-actions");
  const url = past ? undefined : place.dataset[`${node.kind}Url`];
  if (url) row.append(link(words["open"] ?? "", of(url, subject(node), hostOf(graph, node)), "btn btn-sm btn-primary"));
  const one = node.kind === "host" && hostOf(graph, node) === null; // the only host is the picture
  if (node.kind !== "outside" && !one) {
    if (node.kind !== "port") row.append(button(words["focus"] ?? "", () => deeds.focus(node.id)));
    if (node.folded || graph.children.get(node.id)?.length) {
      row.append(button((deeds.folded(node.id) ? words["unfold"] : words["fold"]) ?? "", () => deeds.fold(node.id)));
    }
    row.append(button(words["hide"] ?? "", () => deeds.hide(node.id)));
  }
  if (node.kind === "container" && !past) ofContainer(place, node, hostOf(graph, node), row, words, deeds);
  return row;
}

/** The object whose page tells of a node. */
function subject(node: Node): string {
  if (node.kind === "port") return (node.data?.["container"] as { id: string }).id;
  return node.kind === "network" ? networkOf(node) : node.id;
}

/** On which host a node is, where there are several: pages and orders are about one, and not always about this. */
export function hostOf(graph: Graph, node: Node): string | null {
  const name = node.kind === "host" ? node.name : String(node.data?.["host"] ?? "");
  return graph.several && name ? name : null;
}

/** The address of a page about `id`, on `host` if that must be said: its place in the address is named HOST. */
export function of(url: string | undefined, id: string, host: string | null, more: Record<string, string> = {}): string {
  const page = (url ?? "").replace("/@HOST/", host === null ? "/" : `/@${encodeURIComponent(host)}/`).replace("OBJECT", encodeURIComponent(id));
  const asked = new URLSearchParams(more);
  return asked.size ? `${page}${page.includes("?") ? "&" : "?"}${asked}` : page;
}

function ofContainer(place: HTMLElement, node: Node, host: string | null, row: HTMLElement, words: Words, deeds: Deeds): void {
  const data = node.data as ContainerData;
  const { containerUrl, connectUrl } = place.dataset;
  row.append(link(words["logs"] ?? "", of(containerUrl, node.id, host, { tab: "logs" })), button(words["traceTo"] ?? "", () => deeds.trace(node)));
  if (place.dataset["may"] !== "1" || data["kind"] === "docker") return; // only its Docker Engine may
  const verb = data["wanted"] === "running" ? "stop" : "start";
  const order = `/api/v1/containers/${encodeURIComponent(node.id)}/${verb}?wait=0&host=${encodeURIComponent(data.host)}`;
  row.append(button(words[verb] ?? verb, (pressed) => void send(order, pressed, row)));
  if (data.state === "running" && data["kind"] !== "sandbox") row.append(link(words["terminal"] ?? "", of(containerUrl, node.id, host, { tab: "terminal" })));
  if (mayBeConnected(data)) row.append(link(words["connect"] ?? "", of(connectUrl, node.id, host)));
}

/** The way out of `network`, to stand beside that endpoint. */
export function leaving(place: HTMLElement, graph: Graph, node: Node, network: string, words: Words): HTMLElement | null {
  if (place.dataset["may"] !== "1" || node.kind !== "container" || node.data?.["kind"] === "docker") return null;
  const page = (place.dataset["disconnectUrl"] ?? "").replace("NETWORK", encodeURIComponent(network));
  const way = link("", of(page, node.id, hostOf(graph, node)), "btn btn-sm btn-leave");
  way.append(icon("plug-connected-x"));
  way.title = (words["disconnectFrom"] ?? "").replace("{network}", network);
  way.setAttribute("aria-label", way.title);
  return way;
}

/** Who shares somebody's network stack is connected where that one is, and a Docker Engine's container by the engine. */
export function mayBeConnected(data: ContainerData): boolean {
  return data["kind"] !== "docker" && data.network_mode !== "host" && !data.network_mode.startsWith("container:");
}

/** Whether a line from a container may end at a room: a network of its host on which it is not yet. */
export function mayJoin(node: Node, room: Node | undefined): boolean {
  if (room?.kind !== "network" || room.data?.["host"] !== node.data?.["host"]) return false;
  return !["host", "null"].includes(String(room.data?.["driver"])) && !(node.data as ContainerData).endpoints.some((item) => item.network.id === networkOf(room));
}

async function send(url: string, pressed: HTMLButtonElement, row: HTMLElement): Promise<void> {
  pressed.disabled = true;
  row.querySelector("[role=alert]")?.remove();
  const answer = await fetch(url, { method: "POST", headers: { "Content-Type": "application/json", "X-CSRFToken": csrf() }, body: "{}" }).catch(() => null);
  if (answer?.ok) return; // the feed brings the new state, and with it a new panel
  pressed.disabled = false;
  if (answer?.status === 401) {
    signedOut();
    return;
  }
  const problem = answer ? ((await answer.json().catch(() => ({}))) as { detail?: string; remedy?: string }) : {};
  const said = element("p", [problem.detail, problem.remedy].filter(Boolean).join(" ") || (answer?.statusText ?? "—"), "note note-error");
  said.setAttribute("role", "alert");
  row.prepend(said);
}
