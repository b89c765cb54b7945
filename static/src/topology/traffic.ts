// What moves, laid on the graph: a flow for each endpoint, published port and foreign device that a sample speaks of. Pure.
import type { Flow, Sample, Samples } from "../live/traffic";
import type { ContainerData, Graph, NetworkData, PortData } from "./graph";

/** Id of a node or of an edge -> what goes to it and comes from it in a second. */
export type Flows = Map<string, Flow>;

export const NOTHING: Flow = [0, 0, 0, 0];

export function flows(graph: Graph, samples: Samples): Flows {
  const found: Flows = new Map();
  const hosts = Object.keys(samples);
  if (!hosts.length) return found;
  const add = (id: string, flow: Flow): void => {
    const old = found.get(id);
    found.set(id, old ? [old[0] + flow[0], old[1] + flow[1], old[2] + flow[2], old[3] + flow[3]] : flow);
  };
  const doors = new Map(hosts.map((host) => [host, byDoor(samples[host]!)]));
  for (const node of graph.nodes.values()) {
    const sample = samples[String(node.data?.["host"] ?? "")];
    if (!sample) continue;
    if (node.kind === "container") {
      for (const item of (node.data as ContainerData).endpoints) {
        const flow = sample.links[item.device];
        if (!flow) continue;
        add(node.id, flow);
        add(`${node.id}>${item.network.id}`, flow);
      }
    } else if (node.kind === "network") {
      const flow = sample.links[(node.data as NetworkData).bridge];
      if (flow) add(node.id, flow);
    } else if (node.kind === "foreign" || node.kind === "stranger") {
      for (const device of node.devices ?? []) if (sample.links[device]) add(node.id, sample.links[device]);
    } else if (node.kind === "port") {
      const { protocol, host_port: port, host_address: address } = node.data as unknown as PortData;
      for (const [asked, flow] of doors.get(String(node.data?.["host"]))?.get(`${protocol} ${port}`) ?? []) {
        if (isAny(address) ? sameFamily(address, asked) : asked === address) add(node.id, flow);
      }
    }
  }
  for (const edge of graph.edges) {
    const port = edge.kind === "port" ? edge.from : edge.kind === "outside" ? edge.to : "";
    const flow = found.get(port);
    if (flow) found.set(edge.kind === "port" ? edge.id : `${edge.from}>${port}`, flow);
  }
  return found;
}

/** `protocol port` -> each address that was asked there, with its flow. */
function byDoor(sample: Sample): Map<string, [string, Flow][]> {
  const found = new Map<string, [string, Flow][]>();
  for (const [key, flow] of Object.entries(sample.ports ?? {})) {
    const [protocol, address, port] = key.split(" ") as [string, string, string];
    const door = `${protocol} ${port}`;
    const list = found.get(door);
    if (list) list.push([address, flow]);
    else found.set(door, [[address, flow]]);
  }
  return found;
}

/** Whether it stands for every address. */
export function isAny(address: string): boolean {
  return address === "" || address === "0.0.0.0" || address === "::";
}

function sameFamily(any: string, address: string): boolean {
  return any === "" || any.includes(":") === address.includes(":");
}

const UNITS = ["B/s", "kB/s", "MB/s", "GB/s", "TB/s"];

/** Bytes a second in at most three figures: `840 B/s`, `1.2 MB/s`. */
export function rate(bytes: number, locale?: string): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit && value < 9.95 ? 1 : 0;
  return `${value.toLocaleString(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits })} ${UNITS[unit]}`;
}

export function total(flow: Flow): number {
  return flow[0] + flow[2];
}

/** The width of a line in pixels, for its bytes a second: one more for each tenfold from 1 kB/s on, 7 at most. */
export function weight(bytes: number): number {
  return bytes <= 0 ? 1.5 : Math.min(7, 2 + Math.max(0, Math.log10(bytes / 1000)));
}
