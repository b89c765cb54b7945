// What the search looks through. Made when somebody searches: a picture that is only looked at needs none of it. Pure.
import type { Json } from "../live/reducer";
import { neighbours } from "./near";
import type { ContainerData, ForeignData, Graph, NetworkData, Node, PortData } from "./model";

const kept = new WeakMap<Node, { data: Node["data"]; within: Node["within"]; text: string }>();

/** Everything that is known of a node by name or number, in lower case, with the names of what is folded away in it. */
export function searchText(node: Node): string {
  const last = kept.get(node);
  if (last && last.data === node.data && last.within === node.within) return last.text;
  const text = [...parts(node), ...node.within].join(" ").toLowerCase();
  kept.set(node, { data: node.data, within: node.within, text });
  return text;
}

/** What a word such as `state:exited` is held against. */
const FIELDS: Record<string, (node: Node) => string[]> = {
  kind: (node) => [node.kind],
  state: (node) => [node.state],
  driver: (node) => [String(node.data?.["driver"] ?? "")],
  image: (node) => [String(node.data?.["image"] ?? "")],
  program: (node) => [String(node.data?.["program"] ?? "")],
  host: (node) => [node.kind === "host" ? node.name : String(node.data?.["host"] ?? "")],
  network: (node) => (node.kind === "network" ? [node.name] : node.kind === "container" ? (node.data as ContainerData).endpoints.map((item) => item.network.name) : []),
  label: (node) => Object.entries((node.data?.["labels"] ?? {}) as Json).flatMap(([key, value]) => [key, `${key}=${String(value)}`]),
};

/** What is asked for: a node matches if every word does, and none that begins with a minus. A field's word is the whole of it. */
interface Query {
  /** Something is asked for besides what is not wanted. */
  positive: boolean;
  matches(node: Node): boolean;
  unwanted(node: Node): boolean;
}

/** Null where nothing is asked. */
function query(text: string): Query | null {
  const words = text.toLowerCase().split(/\s+/).filter((word) => word && word !== "-");
  if (!words.length) return null;
  const [no, yes] = [words.filter((word) => word.startsWith("-")).map((word) => word.slice(1)), words.filter((word) => !word.startsWith("-"))];
  const unwanted = (node: Node): boolean => no.some((word) => holds(node, word));
  return { positive: yes.length > 0, unwanted, matches: (node) => !unwanted(node) && yes.every((word) => holds(node, word)) };
}

/** What the search finds, with what it touches; null: nothing is asked for. */
export function found(among: Graph, text: string): Set<string> | null {
  const wanted = query(text);
  if (!wanted) return null;
  const shown = new Set<string>();
  for (const node of among.nodes.values()) {
    if (!wanted.matches(node)) continue;
    shown.add(node.id);
    if (!wanted.positive || node.kind === "host") continue;
    for (const id of neighbours(among, node.id)) if (!wanted.unwanted(among.nodes.get(id) ?? node)) shown.add(id);
  }
  return shown;
}

function holds(node: Node, word: string): boolean {
  const [, name, value] = /^([a-z]+):(.+)$/.exec(word) ?? [];
  const field = name !== undefined && Object.hasOwn(FIELDS, name) ? FIELDS[name] : undefined; // an address of IPv6 has colons, too
  return field ? field(node).some((said) => said.toLowerCase() === value) : searchText(node).includes(word);
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
