// The graph that the topology shows, made from the feed's state: hosts hold networks, networks hold containers; published ports
// stand at the host's edge, and the outside world beside it. Pure.
import type { Change, Json, State } from "../live/reducer";

export type Kind = "host" | "network" | "container" | "port" | "outside";

export interface Node {
  id: string;
  kind: Kind;
  name: string;
  /** The second line: an address, a subnet, a target. */
  detail: string;
  state: string;
  parent: string | null;
  data: Json | null;
  /** How many things of it differ from the kernel. */
  drift: number;
  /** How many containers stand in it that are not shown, for it is collapsed. */
  folded: number;
  /** Everything that the search looks through, in lower case. */
  text: string;
}

export interface Edge {
  id: string;
  kind: "port" | "endpoint" | "link" | "outside" | "shared";
  from: string;
  to: string;
  label: string;
}

export interface Graph {
  nodes: Map<string, Node>;
  edges: Edge[];
  /** id -> ids of what it holds, in drawing order. */
  children: Map<string, string[]>;
}

export interface Wishes {
  /** Predefined networks that hold nothing are left out unless asked for. */
  emptyPredefined: boolean;
  stopped: boolean;
  /** Networks that are shown without what they hold. */
  collapsed?: ReadonlySet<string>;
  /** Only this node and what it touches. */
  focus?: string | null;
}

interface Reference {
  id: string;
  name: string;
}
interface EndpointData {
  id: string;
  mac: string;
  network: Reference;
  ipv4: string;
  ipv6: string;
  interface: string;
}
interface PortData {
  id: string;
  protocol: string;
  host_address: string;
  host_port: number;
  container_port: number;
}
export interface ContainerData extends Json {
  id: string;
  short_id: string;
  name: string;
  host: string;
  image: string;
  state: string;
  created_at: string;
  network_mode: string;
  endpoints: EndpointData[];
  ports: PortData[];
  links: { id: string; source: Reference; alias: string }[];
}
export interface NetworkData extends Json {
  id: string;
  name: string;
  host: string;
  driver: string;
  bridge: string;
  internal: boolean;
  predefined: boolean;
  status: string;
  activation: number;
  subnets: { subnet: string }[];
}

export const OUTSIDE = "outside";
const LIVE_STATES = new Set(["running", "starting", "stopping", "restarting"]);

export function graph(state: State, wishes: Wishes): Graph {
  const result: Graph = { nodes: new Map(), edges: [], children: new Map() };
  const networks = Object.values(state["network"] ?? {}) as NetworkData[];
  const containers = (Object.values(state["container"] ?? {}) as ContainerData[])
    .filter((item) => wishes.stopped || LIVE_STATES.has(item.state))
    .sort((a, b) => (a.created_at < b.created_at ? -1 : a.created_at > b.created_at ? 1 : a.id < b.id ? -1 : 1));
  const homes = new Map<string, string>();
  for (const item of containers) homes.set(item.id, home(item, networks, homes));
  const inhabited = new Set(homes.values());
  for (const item of containers) for (const endpoint of item.endpoints) inhabited.add(endpoint.network.id);

  for (const [id, data] of Object.entries(state["host"] ?? {})) addHost(result, id, data);
  for (const data of [...networks].sort((a, b) => a.activation - b.activation)) {
    if (data.predefined && !inhabited.has(data.id) && !wishes.emptyPredefined) continue;
    addNetwork(result, data);
  }
  const folded = new Map<string, string>(); // container -> the collapsed network in whose place it is
  for (const data of containers) {
    const at = homes.get(data.id) ?? "";
    const room = wishes.collapsed?.has(at) ? result.nodes.get(at) : undefined;
    if (room) {
      room.folded += 1;
      room.text += ` ${data.name.toLowerCase()}`;
      folded.set(data.id, at);
    } else addContainer(result, data, at);
  }
  for (const data of containers) addEdges(result, data, homes.get(data.id) ?? "", folded);
  for (const data of containers) addPorts(result, data, folded);
  addDrift(result, state, containers, folded);
  for (const children of result.children.values()) children.sort((a, b) => rank(result, a) - rank(result, b));
  return wishes.focus && result.nodes.has(wishes.focus) ? around(result, wishes.focus) : result;
}

const SHOWN_KINDS = new Set(["host", "network", "container", "drift"]);

/** Take a change in where it moves nothing (a state, an exit code, what the graph does not show). False: build the graph anew. */
export function patch(into: Graph, change: Change, wishes: Wishes): boolean {
  if (!SHOWN_KINDS.has(change.kind)) return true;
  const node = into.nodes.get(change.id);
  if (change.kind !== "container" || change.op !== "put" || !change.data || node?.kind !== "container") return false;
  const before = node.data as ContainerData;
  const after = change.data as ContainerData;
  if (!wishes.stopped && LIVE_STATES.has(before.state) !== LIVE_STATES.has(after.state)) return false;
  if (shape(before) !== shape(after)) return false;
  node.data = after;
  node.state = after.state;
  node.text = searched(after);
  for (const item of after.ports) {
    const port = into.nodes.get(`port:${item.id}`);
    if (port) port.state = after.state;
  }
  return true;
}

function shape(data: ContainerData): string {
  return JSON.stringify([data.name, data.created_at, data.network_mode, data.endpoints, data.ports, data.links]);
}

function addresses(data: ContainerData): string[] {
  return data.endpoints.map((item) => item.ipv4.split("/")[0] || item.ipv6.split("/")[0] || "").filter(Boolean);
}

function searched(data: ContainerData): string {
  return [data.name, data.image, data.state, data.id, ...addresses(data)].join(" ").toLowerCase();
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

/** Rooms as they were made, the host's own and the empty one last, then ports by number. (Sorting keeps the order of equals.) */
function rank(result: Graph, id: string): number {
  const node = result.nodes.get(id);
  if (node?.kind === "port") return 10 + Number(node.data?.["host_port"] ?? 0);
  return node?.kind === "network" && ["host", "null"].includes(String(node.data?.["driver"])) ? 2 : 1;
}

function put(result: Graph, node: Node): void {
  result.nodes.set(node.id, node);
  if (node.parent === null) return;
  const siblings = result.children.get(node.parent);
  if (siblings) siblings.push(node.id);
  else result.children.set(node.parent, [node.id]);
}

function addHost(result: Graph, id: string, data: Json): void {
  const kernel = String(data["kernel"] ?? "");
  const state = data["alive"] ? "alive" : "silent";
  put(result, { id: `host:${id}`, kind: "host", name: id, detail: kernel, state, parent: null, data, drift: 0, folded: 0, text: id.toLowerCase() });
}

function addNetwork(result: Graph, data: NetworkData): void {
  const subnets = data.subnets.map((item) => item.subnet).join(", ");
  put(result, {
    id: data.id,
    kind: "network",
    name: data.name,
    detail: subnets || data.driver,
    state: data.status,
    parent: `host:${data.host}`,
    data,
    drift: 0,
    folded: 0,
    text: [data.name, data.driver, data.bridge, subnets, data.id].join(" ").toLowerCase(),
  });
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
  put(result, {
    id: data.id,
    kind: "container",
    name: data.name,
    detail: addresses(data).join(", "),
    state: data.state,
    parent: result.nodes.has(parent) ? parent : `host:${data.host}`,
    data,
    drift: 0,
    folded: 0,
    text: searched(data),
  });
}

function addEdges(result: Graph, data: ContainerData, parent: string, folded: Map<string, string>): void {
  const from = folded.get(data.id) ?? data.id;
  const put = (id: string, kind: Edge["kind"], target: string, label: string): void => {
    const to = folded.get(target) ?? target;
    if (from !== to && result.nodes.has(to) && result.nodes.has(from)) result.edges.push({ id, kind, from, to, label });
  };
  for (const item of data.endpoints) {
    if (item.network.id === parent) continue;
    const label = [item.interface, (item.ipv4 || item.ipv6).split("/")[0], item.mac].filter(Boolean).join(" ");
    put(`${data.id}>${item.network.id}`, "endpoint", item.network.id, label);
  }
  for (const item of data.links) put(item.id, "link", item.source.id, item.alias);
  if (data.network_mode.startsWith("container:")) {
    const owner = data.network_mode.slice("container:".length);
    put(`${data.id}=${owner}`, "shared", owner, "");
  }
}

const LOOPBACK = /^(127\.|::1$)/;

function addPorts(result: Graph, data: ContainerData, folded: Map<string, string>): void {
  for (const item of data.ports) {
    if (!item.host_port) continue;
    const id = `port:${item.id}`;
    const name = `${item.host_port}/${item.protocol}`;
    put(result, {
      id,
      kind: "port",
      name,
      detail: [item.host_address, `→ ${data.name}`].filter(Boolean).join(" "),
      state: data.state,
      parent: `host:${data.host}`,
      data: { ...item, container: { id: data.id, name: data.name } },
      drift: 0,
      folded: 0,
      text: [name, item.host_address, data.name].join(" ").toLowerCase(),
    });
    result.edges.push({ id, kind: "port", from: id, to: folded.get(data.id) ?? data.id, label: `→ ${item.container_port}` });
    if (LOOPBACK.test(item.host_address)) continue;
    if (!result.nodes.has(OUTSIDE)) {
      result.nodes.set(OUTSIDE, { id: OUTSIDE, kind: "outside", name: "", detail: "", state: "", parent: null, data: null, drift: 0, folded: 0, text: "" });
    }
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
