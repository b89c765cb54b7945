// What can be done with the chosen node: at once over REST, or on a page of its own that shows the plan first. Who may only look gets
// the links that look.
import { button, element, link, type Words } from "./elements";
import type { ContainerData, Graph, Node } from "./graph";
import { csrf } from "./moves";

export interface Deeds {
  choose(id: string): void;
  fold(id: string): void;
  folded(id: string): boolean;
  focus(id: string): void;
  /** Wait for another container to be chosen, and ask what a packet from this one to it would do. */
  trace(from: Node): void;
}

export function actions(place: HTMLElement, graph: Graph, node: Node, words: Words, deeds: Deeds, past: boolean): HTMLElement {
  const row = element("div", "", "panel-actions");
  const url = past ? undefined : place.dataset[`${node.kind}Url`];
  if (url) {
    const target = node.kind === "port" ? (node.data?.["container"] as { id: string }).id : node.id;
    row.append(link(words["open"] ?? "", of(url, target), "btn btn-sm btn-primary"));
  }
  if (node.kind === "network" || node.kind === "container") row.append(button(words["focus"] ?? "", () => deeds.focus(node.id)));
  if (node.folded || (node.kind !== "host" && graph.children.get(node.id)?.length)) {
    row.append(button((deeds.folded(node.id) ? words["unfold"] : words["fold"]) ?? "", () => deeds.fold(node.id)));
  }
  if (node.kind === "container" && !past) ofContainer(place, node, row, words, deeds);
  return row;
}

function of(url: string | undefined, id: string): string {
  return (url ?? "").replace("OBJECT", encodeURIComponent(id));
}

function ofContainer(place: HTMLElement, node: Node, row: HTMLElement, words: Words, deeds: Deeds): void {
  const data = node.data as ContainerData;
  const page = of(place.dataset["containerUrl"], node.id);
  row.append(link(words["logs"] ?? "", `${page}?tab=logs`), button(words["traceTo"] ?? "", () => deeds.trace(node)));
  if (place.dataset["may"] !== "1") return;
  const verb = data["wanted"] === "running" ? "stop" : "start";
  const order = `/api/v1/containers/${encodeURIComponent(node.id)}/${verb}?wait=0`;
  row.append(button(words[verb] ?? verb, (pressed) => void send(order, pressed, row)));
  if (data.state === "running" && data["kind"] !== "sandbox") row.append(link(words["terminal"] ?? "", `${page}?tab=terminal`));
  if (mayBeConnected(data)) row.append(link(words["connect"] ?? "", of(place.dataset["connectUrl"], node.id)));
  for (const item of data.endpoints) {
    const leave = of(place.dataset["disconnectUrl"], node.id).replace("NETWORK", encodeURIComponent(item.network.name));
    row.append(link((words["disconnectFrom"] ?? "").replace("{network}", item.network.name), leave));
  }
}

/** Who shares somebody's network stack is connected where that one is. */
export function mayBeConnected(data: ContainerData): boolean {
  return data.network_mode !== "host" && !data.network_mode.startsWith("container:");
}

async function send(url: string, pressed: HTMLButtonElement, row: HTMLElement): Promise<void> {
  pressed.disabled = true;
  row.querySelector("[role=alert]")?.remove();
  const answer = await fetch(url, { method: "POST", headers: { "Content-Type": "application/json", "X-CSRFToken": csrf() }, body: "{}" }).catch(() => null);
  if (answer?.ok) return; // the feed brings the new state, and with it a new panel
  pressed.disabled = false;
  const problem = answer ? ((await answer.json().catch(() => ({}))) as { detail?: string; remedy?: string }) : {};
  const said = element("p", [problem.detail, problem.remedy].filter(Boolean).join(" ") || (answer?.statusText ?? "—"), "note note-error");
  said.setAttribute("role", "alert");
  row.prepend(said);
}
