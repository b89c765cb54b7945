// The graph that the topology shows, made from the feed's state: hosts hold networks, networks hold containers; published ports
// stand at the host's edge, and the outside world beside it. Pure.
import type { Change, Json, State } from "../live/reducer";
import { addForeign } from "./foreign";
import { newNode, OUTSIDE, put, type ContainerData, type Edge, type EndpointData, type Graph, type NetworkData, type Node, type Wishes } from "./model";
import { around, without } from "./near";
import { addTunnels, hostsOf, roomId, Rooms } from "./rooms";
import { addresses } from "./search";

export * from "./model";
export { neighbours, only, withRooms } from "./near";

const LIVE_STATES = new Set(["running", "paused", "starting", "stopping", "restarting"]);

export function graph(state: State, wishes: Wishes): Graph {
  const result: Graph = { nodes: new Map(), edges: [], children: new Map() };
  const networks = Object.values(state["network"] ?? {}) as NetworkData[];
  const rooms = new Rooms(networks);
  const containers = (Object.values(state["container"] ?? {}) as ContainerData[])
    .filter((item) => wishes.stopped || LIVE_STATES.has(item.state))
    .sort((a, b) => (a.created_at < b.created_at ? -1 : a.created_at > b.created_at ? 1 : a.id < b.id ? -1 : 1));
  const homes = new Map<string, string>();
  for (const item of containers) homes.set(item.id, home(item, rooms, homes));
  const inhabited = new Set(homes.values());
  const by = wishes.group && wishes.group !== "network" ? wishes.group : "";
  for (const item of containers) for (const endpoint of item.endpoints) inhabited.add(rooms.of(endpoint.network.id, item.host));

  for (const [id, data] of Object.entries(state["host"] ?? {})) addHost(result, id, data);
  const hosts = Object.keys(state["host"] ?? {});
  result.several = hosts.length > 1;
  const isShut = (host: string): boolean => wishes.collapsed?.has(`host:${host}`) ?? false;
  const spans = new Map<NetworkData, string[]>();
  for (const data of [...networks].sort((a, b) => a.activation - b.activation)) {
    if (data.predefined && !inhabited.has(data.id) && !wishes.emptyPredefined) continue;
    const on = hostsOf(data, hosts, inhabited);
    for (const host of on) if (!isShut(host)) addNetwork(result, data, host);
    if (on.length > 1) spans.set(data, on.map((host) => (isShut(host) ? `host:${host}` : rooms.of(data.id, host))));
  }
  for (const item of containers) if (isShut(item.host)) homes.set(item.id, `host:${item.host}`);
  if (by) for (const item of containers) if (!isShut(item.host)) homes.set(item.id, addGroup(result, item, by));
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
  for (const data of containers) addEdges(result, data, homes.get(data.id) ?? "", rooms, folded);
  addTunnels(result, spans);
  for (const data of containers) if (!isShut(data.host)) addPorts(result, data, folded);
  if (wishes.foreign) addForeign(result, state, wishes.collapsed);
  addDrift(result, state, containers, folded);
  for (const children of result.children.values()) order(result, children);
  const seen = wishes.hidden?.size ? without(result, wishes.hidden) : result;
  return wishes.focus && seen.nodes.has(wishes.focus) ? around(seen, wishes.focus) : seen;
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
    const host = String(item["host"]);
    const node = result.nodes.get(folded.get(holder) ?? holder) ?? result.nodes.get(roomId(holder, host)) ?? result.nodes.get(`host:${host}`);
    if (node) node.drift += 1;
  }
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

/** A network as `host` has it: one that spans hosts has a room on each. */
function addNetwork(result: Graph, data: NetworkData, host: string): void {
  const subnets = data.subnets.map((item) => item.subnet).join(", ");
  const spans = data.scope === "global";
  put(result, newNode({
    id: spans ? roomId(data.id, host) : data.id,
    kind: "network",
    name: data.name,
    detail: subnets || data.driver,
    state: data.status,
    parent: `host:${host}`,
    data: spans ? { ...data, host } : data,
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
function home(item: ContainerData, rooms: Rooms, homes: Map<string, string>): string {
  const first = item.endpoints[0];
  if (first) return rooms.of(first.network.id, item.host);
  if (item.network_mode.startsWith("container:")) {
    const owner = homes.get(item.network_mode.slice("container:".length));
    if (owner) return owner;
  }
  return rooms.named(item.network_mode, item.host) ?? rooms.empty(item.host) ?? "";
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

function addEdges(result: Graph, data: ContainerData, parent: string, rooms: Rooms, folded: Map<string, string>): void {
  const from = folded.get(data.id) ?? data.id;
  const connect = (id: string, kind: Edge["kind"], target: string, label: string): void => {
    const to = folded.get(target) ?? target;
    if (from !== to && result.nodes.has(to) && result.nodes.has(from)) result.edges.push({ id, kind, from, to, label });
  };
  for (const item of data.endpoints) {
    const room = rooms.of(item.network.id, data.host);
    if (room !== parent) connect(`${data.id}>${item.network.id}`, "endpoint", room, endpointLabel(item));
  }
  for (const item of data.links) connect(item.id, "link", item.source.id, item.alias);
  if (data.network_mode.startsWith("container:")) {
    const owner = data.network_mode.slice("container:".length);
    connect(`${data.id}=${owner}`, "shared", owner, "");
  }
}

/** Of a container that stands in a network, what it has there: no line says it. */
export function homeEndpoint(node: Node): EndpointData | undefined {
  const data = node.data as ContainerData;
  return data.endpoints.find((item) => item.network.id === node.parent || roomId(item.network.id, data.host) === node.parent);
}

/** The address of an endpoint, without its length: that of IPv4 if it has one. */
export function firstAddress(item: EndpointData): string {
  return (item.ipv4 || item.ipv6).split("/")[0] ?? "";
}

/** Its interface and address, as they stand in the box of its container; nothing while it has none. */
export function homeDetail(home: EndpointData): string {
  return firstAddress(home) && [home.interface, firstAddress(home)].filter(Boolean).join(" ");
}

/** Interface, address and MAC of an endpoint. */
export function endpointLabel(item: EndpointData): string {
  return [item.interface, firstAddress(item), item.mac].filter(Boolean).join(" ");
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
