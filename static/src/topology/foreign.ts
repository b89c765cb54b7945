// What stands on a host and is not ours: bridges of other programs as rooms, what is plugged into them, and namespaces by themselves.
import type { State } from "../live/reducer";
import { newNode, put, type ForeignData, type Graph } from "./model";

/** The room of what is plugged into no bridge. */
const APART = "apart";

export function addForeign(result: Graph, state: State, collapsed?: ReadonlySet<string>): void {
  for (const [host, given] of Object.entries(state["foreign"] ?? {})) {
    if (result.nodes.has(`host:${host}`) && !collapsed?.has(`host:${host}`)) addOf(result, host, given as ForeignData, collapsed ?? new Set());
  }
}

function addOf(result: Graph, host: string, data: ForeignData, collapsed: ReadonlySet<string>): void {
  const room = (bridge: string): string => `foreign:${host}:${bridge}`;
  for (const bridge of data.bridges) {
    put(result, newNode({
      id: room(bridge.name),
      kind: "foreign",
      name: bridge.name,
      detail: [bridge.network, ...bridge.addresses].filter(Boolean).join(" · "),
      state: bridge.up ? "up" : "down",
      parent: `host:${host}`,
      data: { ...bridge, host },
      devices: [bridge.name],
    }));
  }
  if (data.strangers.some((item) => !item.endpoints.some((endpoint) => result.nodes.has(room(endpoint.bridge))))) {
    put(result, newNode({ id: room(APART), kind: "foreign", name: "", parent: `host:${host}`, data: { host, apart: true } }));
  }
  for (const item of data.strangers) {
    const id = `${host}:${item.id}`;
    const [home, ...others] = item.endpoints.filter((endpoint) => result.nodes.has(room(endpoint.bridge)));
    const addresses = item.endpoints.flatMap((endpoint) => endpoint.addresses.map((address) => address.split("/")[0]!));
    const at = room(home?.bridge ?? APART);
    if (collapsed.has(at)) {
      const into = result.nodes.get(at)!;
      into.folded += 1;
      into.within = [...into.within, item.name];
      continue;
    }
    put(result, newNode({
      id,
      kind: "stranger",
      name: item.name,
      detail: addresses.join(", ") || item.program,
      state: "",
      parent: at,
      data: { ...item, host },
      devices: item.endpoints.map((endpoint) => endpoint.device),
    }));
    for (const endpoint of others) {
      const label = [endpoint.interface, ...endpoint.addresses, endpoint.device].filter(Boolean).join(" ");
      result.edges.push({ id: `${id}>${endpoint.bridge}`, kind: "endpoint", from: id, to: room(endpoint.bridge), label });
    }
  }
}
