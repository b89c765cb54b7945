// The graph that the topology shows, made from the feed's state: hosts hold networks, networks hold containers; published ports
// stand at the host's edge, and the outside world beside it. Pure.
import type { Change, Json, State } from "../live/reducer";
import { addForeign } from "./foreign";
import { newNode, OUTSIDE, put, type ContainerData, type Edge, type Graph, type NetworkData, type Wishes } from "./model";
import { addresses } from "./search";

export * from "./model";

const LIVE_STATES = new Set(["running", "paused", "starting", "stopping", "restarting"]);

export function graph(state: State, wishes: Wishes): Graph {
  const result: Graph = { nodes: new Map(), edges: [], children: new Map() };
  const networks = Object.values(state["network"] ?? {}) as NetworkData[];
  const containers = (Object.values(state["container"] ?? {}) as ContainerData[])
    .filter((item) => wishes.stopped || LIVE_STATES.has(item.state))
    .sort((a, b) => (a.created_at < b.created_at ? -1 : a.created_at > b.created_at ? 1 : a.id < b.id ? -1 : 1));
  const homes = new Map<string, string>();
  for (const item of containers) homes.set(item.id, home(item, networks, homes));
  const inhabited = new Set(homes.values());
  const by = wishes.group && wishes.group !== "network" ? wishes.group : "";
  for (const item of containers) for (const endpoint of item.endpoints) inhabited.add(endpoint.network.id);

  for (const [id, data] of Object.entries(state["host"] ?? {})) addHost(result, id, data);
  for (const data of [...networks].sort((a, b) => a.activation - b.activation)) {
    if (data.predefined && !inhabited.has(data.id) && !wishes.emptyPredefined) continue;
    addNetwork(result, data);
  }
  if (by) for (const item of containers) homes.set(item.id, addGroup(result, item, by));
  const folded = new Map<string, string>(); // container -> the collapsed network in whose place it is
  for (const data of containers) {
    const at = homes.get(data.id) ?? "";
    const room = wishes.collapsed?.has(at) ? result.nodes.get(at) : undefined;
    if (room) {
      room.folded += 1;
      room.within = [...room.within, data.name];
      folded.set(data.id, at);
    } else addContainer(result, data, at);
  }
  for (const data of containers) addEdges(result, data, homes.get(data.id) ?? "", folded);
  for (const data of containers) addPorts(result, data, folded);
  if (wishes.foreign) addForeign(result, state, wishes.collapsed);
  addDrift(result, state, containers, folded);
  for (const children of result.children.values()) order(result, children);
  return wishes.focus && result.nodes.has(wishes.focus) ? around(result, wishes.focus) : result;
}

const SHOWN_KINDS = new Set(["host", "network", "container", "drift", "foreign"]);

/** Take a change in where it moves nothing (a state, an exit code, what the graph does not show). False: build the graph anew. */
export function patch(into: Graph, change: Change, wishes: Wishes): boolean {
  if (!SHOWN_KINDS.has(change.kind) || (change.kind === "foreign" && !wishes.foreign)) return true;
  const node = into.nodes.get(change.id);
  if (change.kind !== "container" || change.op !== "put" || !change.data || node?.kind !== "container") return false;
  const before = node.data as ContainerData;
  const after = change.data as ContainerData;
  if (!wishes.stopped && LIVE_STATES.has(before.state) !== LIVE_STATES.has(after.state)) return false;
  if (shape(before) !== shape(after)) return false;
  if (wishes.group && wishes.group !== "network" && groupOf(before, wishes.group) !== groupOf(after, wishes.group)) return false;
  node.data = after;
  node.state = after.state;
  for (const item of after.ports) {
    const port = into.nodes.get(`port:${item.id}`);
    if (port) port.state = after.state;
  }
  return true;
}

function shape(data: ContainerData): string {
  return JSON.stringify([data.name, data.created_at, data.network_mode, data.endpoints, data.ports, data.links]);
}

/** A count at each node for what differs from the kernel; what belongs to an endpoint, a port or a link counts at its container. */
function addDrift(result: Graph, state: State, containers: ContainerData[], folded: Map<string, string>): void {
  const open = Object.values(state["drift"] ?? {}).filter((item) => !item["resolved_at"]);
  if (!open.length) return;
  const holders = new Map<string, string>();
  for (const data of containers) {
    for (const part of [...data.endpoints, ...data.links]) holders.set(part.id, data.id);
    for (const port of data.ports) holders.set(port.id, data.id);
  }
  for (const item of open) {
    const owner = String((item["owner"] as Json | undefined)?.["id"] ?? "");
    const holder = holders.get(owner) ?? owner;
    const node = result.nodes.get(folded.get(holder) ?? holder) ?? result.nodes.get(`host:${String(item["host"])}`);
    if (node) node.drift += 1;
  }
}

/** `id`, what it touches and holds, and the rooms in which all that stands. */
function around(from: Graph, id: string): Graph {
  const kept = neighbours(from, id);
  const deep = (inside: string): void => {
    for (const child of from.children.get(inside) ?? []) {
      kept.add(child);
      deep(child);
    }
  };
  deep(id);
  for (const node of [...kept]) {
    for (let up = from.nodes.get(node)?.parent ?? null; up; up = from.nodes.get(up)?.parent ?? null) kept.add(up);
  }
  return {
    nodes: new Map([...from.nodes].filter(([key]) => kept.has(key))),
    edges: from.edges.filter((edge) => kept.has(edge.from) && kept.has(edge.to)),
    children: new Map([...from.children].map(([key, list]) => [key, list.filter((child) => kept.has(child))])),
  };
}

function order(result: Graph, children: string[]): void {
  const ranks = new Map(children.map((id) => [id, rank(result, id)]));
  children.sort((a, b) => ranks.get(a)! - ranks.get(b)!);
}

/** Groups, then networks as they were made, the host's own and the empty one last, then what is others', then ports by number. (Sorting
 * keeps the order of equals.) */
function rank(result: Graph, id: string): number {
  const node = result.nodes.get(id);
  if (node?.kind === "port") return 10 + Number(node.data?.["host_port"] ?? 0);
  if (node?.kind === "group") return 0;
  if (node?.kind === "foreign") return 3;
  return node?.kind === "network" && ["host", "null"].includes(String(node.data?.["driver"])) ? 2 : 1;
}

function addHost(result: Graph, id: string, data: Json): void {
  const state = data["alive"] ? "alive" : "silent";
  put(result, newNode({ id: `host:${id}`, kind: "host", name: id, detail: String(data["kernel"] ?? ""), state, parent: null, data }));
}

function addNetwork(result: Graph, data: NetworkData): void {
  const subnets = data.subnets.map((item) => item.subnet).join(", ");
  put(result, newNode({
    id: data.id,
    kind: "network",
    name: data.name,
    detail: subnets || data.driver,
    state: data.status,
    parent: `host:${data.host}`,
    data,
  }));
}

/** The value by which a container stands with others; empty: it has none. */
function groupOf(data: ContainerData, by: string): string {
  if (by === "state") return data.state;
  return String((data["labels"] as Json | undefined)?.[by.slice("label:".length)] ?? "");
}

/** The group in which `data` stands, made when its first member comes. */
function addGroup(result: Graph, data: ContainerData, by: string): string {
  const value = groupOf(data, by);
  const id = `group:${data.host}:${by}=${value}`;
  if (!result.nodes.has(id)) {
    const known = { host: data.host, by, value };
    put(result, newNode({ id, kind: "group", name: value, state: by === "state" ? value : "", parent: `host:${data.host}`, data: known }));
  }
  return id;
}

/** The keys of labels that containers carry, for a choice of groups; at most a hundred. */
export function labelKeys(state: State): string[] {
  const found = new Set<string>();
  for (const item of Object.values(state["container"] ?? {})) for (const key of Object.keys((item["labels"] as Json | undefined) ?? {})) found.add(key);
  return [...found].sort().slice(0, 100);
}

/** The network in whose box a container stands: its first one; without any, that of its mode. */
function home(item: ContainerData, networks: NetworkData[], homes: Map<string, string>): string {
  const first = item.endpoints[0];
  if (first) return first.network.id;
  if (item.network_mode.startsWith("container:")) {
    const owner = homes.get(item.network_mode.slice("container:".length));
    if (owner) return owner;
  }
  const mode = networks.find((network) => network.name === item.network_mode && network.host === item.host);
  return mode?.id ?? networks.find((network) => network.driver === "null" && network.host === item.host)?.id ?? "";
}

function addContainer(result: Graph, data: ContainerData, parent: string): void {
  put(result, newNode({
    id: data.id,
    kind: "container",
    name: data.name,
    detail: addresses(data).join(", "),
    state: data.state,
    parent: result.nodes.has(parent) ? parent : `host:${data.host}`,
    data,
  }));
}

function addEdges(result: Graph, data: ContainerData, parent: string, folded: Map<string, string>): void {
  const from = folded.get(data.id) ?? data.id;
  const connect = (id: string, kind: Edge["kind"], target: string, label: string): void => {
    const to = folded.get(target) ?? target;
    if (from !== to && result.nodes.has(to) && result.nodes.has(from)) result.edges.push({ id, kind, from, to, label });
  };
  for (const item of data.endpoints) {
    if (item.network.id !== parent) connect(`${data.id}>${item.network.id}`, "endpoint", item.network.id, endpointLabel(item));
  }
  for (const item of data.links) connect(item.id, "link", item.source.id, item.alias);
  if (data.network_mode.startsWith("container:")) {
    const owner = data.network_mode.slice("container:".length);
    connect(`${data.id}=${owner}`, "shared", owner, "");
  }
}

/** Interface, address and MAC of an endpoint. */
export function endpointLabel(item: ContainerData["endpoints"][number]): string {
  return [item.interface, (item.ipv4 || item.ipv6).split("/")[0], item.mac].filter(Boolean).join(" ");
}

const LOOPBACK = /^(127\.|::1$)/;

function addPorts(result: Graph, data: ContainerData, folded: Map<string, string>): void {
  for (const item of data.ports) {
    if (!item.host_port) continue;
    const id = `port:${item.id}`;
    const name = `${item.host_port}/${item.protocol}`;
    put(result, newNode({
      id,
      kind: "port",
      name,
      detail: [item.host_address, `→ ${data.name}`].filter(Boolean).join(" "),
      state: data.state,
      parent: `host:${data.host}`,
      data: { ...item, host: data.host, container: { id: data.id, name: data.name } },
    }));
    result.edges.push({ id, kind: "port", from: id, to: folded.get(data.id) ?? data.id, label: `→ ${item.container_port}` });
    if (LOOPBACK.test(item.host_address)) continue;
    if (!result.nodes.has(OUTSIDE)) put(result, newNode({ id: OUTSIDE, kind: "outside", name: "", parent: null }));
    result.edges.push({ id: `${OUTSIDE}>${id}`, kind: "outside", from: OUTSIDE, to: id, label: "" });
  }
}

/** What is one step away by a line or by holding: what stays bright when a node is chosen. */
export function neighbours(from: Graph, id: string): Set<string> {
  const near = new Set([id]);
  for (const edge of from.edges) {
    if (edge.from === id) near.add(edge.to);
    if (edge.to === id) near.add(edge.from);
  }
  for (const child of from.children.get(id) ?? []) near.add(child);
  for (let up = from.nodes.get(id)?.parent ?? null; up; up = from.nodes.get(up)?.parent ?? null) near.add(up);
  return near;
}
