// Networks as rooms of hosts. One that spans hosts has a room on each host where somebody is on it, and tunnels between those; every
// other network is one room, whose id is its own. Pure.
import type { Graph, NetworkData, Node } from "./model";

/** Of a network that spans hosts, the room on `host`. */
export function roomId(network: string, host: string): string {
  return `${network}@${host}`;
}

/** Which room a network of this name or id is, seen from a host. */
export class Rooms {
  private readonly spanning = new Set<string>();
  private readonly byName = new Map<string, string>();
  private readonly nulls = new Map<string, string>();

  constructor(networks: readonly NetworkData[]) {
    for (const one of networks) {
      const spans = one.scope === "global";
      if (spans) this.spanning.add(one.id);
      this.byName.set(spans ? one.name : `${one.name}@${one.host}`, one.id);
      if (one.driver === "null") this.nulls.set(one.host, one.id);
    }
  }

  of(network: string, host: string): string {
    return this.spanning.has(network) ? roomId(network, host) : network;
  }

  named(name: string, host: string): string | undefined {
    const found = this.byName.get(`${name}@${host}`) ?? this.byName.get(name);
    return found === undefined ? undefined : this.of(found, host);
  }

  /** Where those stand that are on no network. */
  empty(host: string): string | undefined {
    return this.nulls.get(host);
  }
}

/** On which of `hosts` a network has a room: where somebody is on it, else where it was made. */
export function hostsOf(data: NetworkData, hosts: readonly string[], inhabited: ReadonlySet<string>): string[] {
  if (data.scope !== "global") return [data.host];
  const found = hosts.filter((host) => inhabited.has(roomId(data.id, host)));
  return found.length ? found : [data.host];
}

/** The rooms of the network that `node` is, itself among them, as they stand in the graph. */
export function partsOf(graph: Graph, id: string): string[] {
  const node = graph.nodes.get(id);
  return node && spans(node) ? [...graph.nodes.values()].filter((other) => other.kind === "network" && networkOf(other) === networkOf(node)).map((other) => other.id) : [];
}

/** The id of the network that a room is. */
export function networkOf(node: Node): string {
  return String((node.data as NetworkData | null)?.id ?? node.id);
}

function spans(node: Node): boolean {
  return node.kind === "network" && (node.data as NetworkData | null)?.scope === "global";
}

const counted = new WeakMap<Graph, Map<string, number>>();

/** How many are on the network or bridge that a room is: who stands in it, folded away or not, and whose lines lead to it. */
export function members(graph: Graph, id: string): number {
  let guests = counted.get(graph);
  if (!guests) {
    counted.set(graph, (guests = new Map()));
    for (const edge of graph.edges) if (edge.kind === "endpoint") guests.set(edge.to, (guests.get(edge.to) ?? 0) + 1);
  }
  return (graph.children.get(id)?.length ?? 0) + (graph.nodes.get(id)?.folded ?? 0) + (guests.get(id) ?? 0);
}

/** Every node that shows the object `id`: that of its id, or the rooms of a network that spans hosts. */
export function shownAs(graph: Graph, id: string): string[] {
  if (graph.nodes.has(id)) return [id];
  return [...graph.nodes.values()].filter((node) => spans(node) && networkOf(node) === id).map((node) => node.id);
}

/** From each room of a network that spans hosts to its next; `ends` are the rooms, or the collapsed hosts that hold them. */
export function addTunnels(graph: Graph, ends: ReadonlyMap<NetworkData, string[]>): void {
  for (const [data, rooms] of ends) {
    const label = [data.vni ? `VXLAN ${data.vni}` : data.driver, data.options && "encrypted" in data.options ? "IPsec" : ""].filter(Boolean).join(", ");
    rooms.slice(1).forEach((to, at) => {
      const from = rooms[at]!;
      graph.edges.push({ id: `tunnel:${data.id}:${from}:${to}`, kind: "tunnel", from, to, label });
    });
  }
}
