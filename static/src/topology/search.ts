// What the search looks through. Made when somebody searches: a picture that is only looked at needs none of it. Pure.
import type { ContainerData, ForeignData, NetworkData, Node, PortData } from "./model";

const kept = new WeakMap<Node, { data: Node["data"]; within: Node["within"]; text: string }>();

/** Everything that is known of a node by name or number, in lower case, with the names of what is folded away in it. */
export function searchText(node: Node): string {
  const last = kept.get(node);
  if (last && last.data === node.data && last.within === node.within) return last.text;
  const text = [...parts(node), ...node.within].join(" ").toLowerCase();
  kept.set(node, { data: node.data, within: node.within, text });
  return text;
}

function parts(node: Node): string[] {
  if (node.kind === "container") {
    const data = node.data as ContainerData;
    return [data.name, data.image, data.state, data.id, ...addresses(data)];
  }
  if (node.kind === "network") {
    const data = node.data as NetworkData;
    return [data.name, data.driver, data.bridge, data.subnets.map((item) => item.subnet).join(", "), data.id];
  }
  if (node.kind === "port") {
    const data = node.data as unknown as PortData & { container: { name: string } };
    return [node.name, data.host_address, data.container.name];
  }
  if (node.kind === "foreign") {
    const data = node.data as unknown as Partial<ForeignData["bridges"][number]>;
    return [node.name, data.network ?? "", data.program ?? "", ...(data.addresses ?? [])];
  }
  if (node.kind === "stranger") {
    const data = node.data as unknown as ForeignData["strangers"][number];
    return [node.name, data.program, ...data.endpoints.flatMap((item) => [...item.addresses.map((address) => address.split("/")[0]!), item.device])];
  }
  return [node.name];
}

/** The first address of each endpoint, without its length. */
export function addresses(data: ContainerData): string[] {
  return data.endpoints.map((item) => item.ipv4.split("/")[0] || item.ipv6.split("/")[0] || "").filter(Boolean);
}
