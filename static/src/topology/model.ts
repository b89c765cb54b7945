// What the graph is made of: the feed's objects as far as the picture needs them, and the nodes and edges made of them.
import type { Json } from "../live/reducer";

export type Kind = "host" | "network" | "group" | "container" | "port" | "outside" | "foreign" | "stranger";

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
  /** Their names, for the search. */
  within: readonly string[];
  /** Devices of the host by which a foreign thing is plugged in. */
  devices?: string[];
}

export interface Edge {
  id: string;
  kind: "port" | "endpoint" | "link" | "outside" | "shared" | "tunnel";
  from: string;
  to: string;
  label: string;
}

export interface Graph {
  nodes: Map<string, Node>;
  edges: Edge[];
  /** id -> ids of what it holds, in drawing order. */
  children: Map<string, string[]>;
  /** Whether there are several hosts, seen or not: then what is asked about a node must say of which. */
  several?: boolean;
}

/** `network`, `state`, or `label:` and the label's key. */
export type Grouping = string;

export interface Wishes {
  /** Predefined networks that hold nothing are left out unless asked for. */
  emptyPredefined: boolean;
  stopped: boolean;
  /** What of the host is not ours. */
  foreign?: boolean;
  /** Containers stand in their networks, or together by what is named here. */
  group?: Grouping;
  /** Hosts, networks and groups that are shown without what they hold. */
  collapsed?: ReadonlySet<string>;
  /** What a person does not want to see, and what it holds. */
  hidden?: ReadonlySet<string>;
  /** Only this node and what it touches. */
  focus?: string | null;
}

export interface Reference {
  id: string;
  name: string;
}
export interface EndpointData {
  id: string;
  mac: string;
  network: Reference;
  ipv4: string;
  ipv6: string;
  interface: string;
  /** The host's end. */
  device: string;
}
export interface PortData {
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
  /** `global`: it spans hosts; `host` is then the one where it was made. */
  scope?: string;
  vni?: number | null;
  options?: Record<string, string>;
  subnets: { subnet: string }[];
}
export interface ForeignData extends Json {
  host: string;
  bridges: { name: string; network: string; program: string; addresses: string[]; up: boolean }[];
  strangers: {
    id: string;
    kind: "namespace" | "device";
    name: string;
    program: string;
    endpoints: { device: string; bridge: string; interface: string; addresses: string[] }[];
  }[];
  left_out: number;
}

/** Where a port is published: `*:8080`, `192.0.2.1:80`, `[::1]:443`; an address of IPv6 stands in brackets, as in an URL. */
export function binding(port: Pick<PortData, "host_address" | "host_port">): string {
  const address = port.host_address.includes(":") ? `[${port.host_address}]` : port.host_address;
  return `${address || "*"}:${port.host_port || "…"}`;
}

export const OUTSIDE = "outside";
const ROOMS: ReadonlySet<Kind> = new Set(["network", "group", "foreign"]);
const GUESTS: ReadonlySet<Kind> = new Set(["container", "stranger"]);

/** Whether containers stand in it: a network, a group, a bridge of somebody else. */
export function isRoom(node: Node): boolean {
  return ROOMS.has(node.kind);
}

/** Whether it stands in a room. */
export function isGuest(node: Node): boolean {
  return GUESTS.has(node.kind);
}

const NOBODY: readonly string[] = [];

export function newNode(given: Partial<Node> & Pick<Node, "id" | "kind" | "name" | "parent">): Node {
  return { detail: "", state: "", data: null, drift: 0, folded: 0, within: NOBODY, ...given };
}

export function put(result: Graph, node: Node): void {
  result.nodes.set(node.id, node);
  if (node.parent === null) return;
  const siblings = result.children.get(node.parent);
  if (siblings) siblings.push(node.id);
  else result.children.set(node.parent, [node.id]);
}
