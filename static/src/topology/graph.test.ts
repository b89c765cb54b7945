import assert from "node:assert/strict";
import { test } from "node:test";
import type { Json, State } from "../live/reducer";
import { asJson, asMermaid } from "./exports";
import { hostOf, mayJoin } from "./actions";
import { graph, neighbours, only, patch, type Graph } from "./graph";
import { layout } from "./layout";
import { grabs } from "./moves";
import { networkOf, shownAs } from "./rooms";
import { found, searchText } from "./search";

function network(id: string): Json {
  return { id, name: id, host: "h", driver: "bridge", bridge: `br-${id}`, predefined: false, status: "ready", activation: 1, subnets: [] };
}

function container(id: string, networks: string[], more: Json = {}): Json {
  const endpoints = networks.map((name, number) => ({ id: `e-${id}-${name}`, network: { id: name, name }, ipv4: `10.0.${number}.2/24`, ipv6: "", interface: `eth${number}`, mac: "02:42:0a:00:00:02" }));
  return { id, name: id, host: "h", image: "host", state: "running", created_at: id, network_mode: networks[0], endpoints, ports: [], links: [], ...more };
}

const keyed = (list: Json[]): Record<string, Json> => Object.fromEntries(list.map((item) => [String(item["id"]), item]));
const port = { ports: [{ id: "p", protocol: "tcp", host_address: "", host_port: 8080, container_port: 80 }] };
const STATE: State = {
  host: { h: { kernel: "6.1", alive: true } },
  network: keyed(["app", "db", "spare"].map(network)),
  container: keyed([
    container("web", ["app", "db"], port),
    container("worker", ["app"], { links: [{ id: "l", source: { id: "store", name: "store" }, alias: "db" }] }),
    container("store", ["db"]),
  ]),
};
const ALL = { emptyPredefined: true, stopped: true };
const ends = (found: Graph): string[] => found.edges.map((edge) => `${edge.kind} ${edge.from} ${edge.to}`).sort();

test("an edge to a further network tells interface, address and MAC", () => {
  const label = graph(STATE, ALL).edges.find((edge) => edge.kind === "endpoint")?.label;
  assert.equal(label, "eth1 10.0.1.2 02:42:0a:00:00:02");
});

test("a collapsed network stands for what it holds, and edges end at it", () => {
  const found = graph(STATE, { ...ALL, collapsed: new Set(["app"]) });
  assert.ok(!found.nodes.has("web") && !found.nodes.has("worker"));
  assert.equal(found.nodes.get("app")?.folded, 2);
  assert.deepEqual(ends(found), ["endpoint app db", "link app store", "outside outside port:p", "port port:p app"]);
  assert.ok(searchText(found.nodes.get("app")!).includes("worker"), "the search still finds what is folded away");
});

test("a focus keeps what a node touches, with the rooms in which it stands", () => {
  const found = graph(STATE, { ...ALL, focus: "store" });
  assert.deepEqual([...found.nodes.keys()].sort(), ["db", "host:h", "store", "worker", "app"].sort());
  assert.deepEqual(ends(found), ["link worker store"]);
  assert.equal(graph(STATE, { ...ALL, focus: "gone" }).nodes.size, graph(STATE, ALL).nodes.size);
});

test("drift counts at the container whose endpoint or port it is, at the network, or at the host", () => {
  const at = (owner: string): Json => ({ id: owner, host: "h", owner: { id: owner }, resolved_at: null });
  const drift = keyed([at("e-web-db"), at("p"), at("db"), at("nobody"), { ...at("store"), resolved_at: "2030-01-01" }]);
  const found = graph({ ...STATE, drift }, ALL);
  assert.deepEqual(["web", "db", "host:h", "store"].map((id) => found.nodes.get(id)?.drift), [2, 1, 1, 0]);
  assert.equal(graph({ ...STATE, drift }, { ...ALL, collapsed: new Set(["app"]) }).nodes.get("app")?.drift, 2);
});

test("a network that spans hosts has a room on each host where somebody is on it, joined by a tunnel", () => {
  const on = (host: string, id: string): Json => ({ ...container(id, ["span"]), host });
  const span = { ...network("span"), scope: "global", driver: "overlay", vni: 4097, options: { encrypted: "" } };
  const state: State = {
    host: { h: { alive: true }, i: { alive: true }, j: { alive: true } },
    network: keyed([span]),
    container: keyed([on("i", "far"), on("j", "further")]),
  };
  const found = graph(state, ALL);
  assert.deepEqual(["far", "further"].map((id) => found.nodes.get(id)?.parent), ["span@i", "span@j"], "each in its own host");
  assert.deepEqual(["span@i", "span@j"].map((id) => found.nodes.get(id)?.parent), ["host:i", "host:j"]);
  assert.ok(!found.nodes.has("span@h"), "nobody is on it there");
  assert.deepEqual(found.edges.map((edge) => [edge.kind, edge.from, edge.to, edge.label]), [["tunnel", "span@i", "span@j", "VXLAN 4097, IPsec"]]);
  assert.ok(neighbours(found, "span@j").has("span@i"));
  assert.deepEqual(shownAs(found, "span"), ["span@i", "span@j"]);
  const alone = graph(state, { ...ALL, focus: "host:i" });
  assert.equal(hostOf(alone, alone.nodes.get("far")!), "i", "others are not seen, and yet there");
  assert.deepEqual([hostOf(found, found.nodes.get("far")!), networkOf(found.nodes.get("span@i")!)], ["i", "span"]);
  const drift = keyed([{ id: "1", host: "j", owner: { id: "span" }, resolved_at: null }]);
  assert.deepEqual(["span@i", "span@j"].map((id) => graph({ ...state, drift }, ALL).nodes.get(id)?.drift), [0, 1], "at the host where it is");
  const empty = graph({ ...state, container: {} }, ALL);
  assert.equal(empty.nodes.get("span@h")?.parent, "host:h", "where it was made, as long as nobody is on it");
});

test("a collapsed host stands for what it holds, tunnels end at it, and its ports are not drawn", () => {
  const span = { ...network("span"), scope: "global", driver: "overlay", vni: 5 };
  const state: State = {
    host: { h: { alive: true }, i: { alive: true } },
    network: keyed([span, network("app")]),
    container: keyed([container("near", ["app", "span"], port), { ...container("far", ["span"]), host: "i" }]),
  };
  const found = graph(state, { ...ALL, collapsed: new Set(["host:h"]) });
  assert.deepEqual([...found.nodes.keys()].sort(), ["far", "host:h", "host:i", "span@i"]);
  assert.equal(found.nodes.get("host:h")!.folded, 1);
  assert.deepEqual(ends(found), ["tunnel host:h span@i"]);
});

test("what is hidden takes along what it holds, the ports that lead there, and an outside that leads nowhere", () => {
  const found = graph(STATE, { ...ALL, hidden: new Set(["app"]) });
  assert.deepEqual([...found.nodes.keys()].sort(), ["db", "host:h", "spare", "store"]);
  assert.deepEqual(found.edges, []);
  assert.deepEqual(found.children.get("host:h"), ["db", "spare"]);
});

test("a search takes all its words, knows fields, and leaves out what a minus says", () => {
  const labelled = (id: string, tier: string, state = "running"): Json => container(id, ["app"], { labels: { tier }, state });
  const whole = graph({ ...STATE, container: keyed([labelled("web", "front"), labelled("worker", "back", "exited"), container("store", ["db"])]) }, ALL);
  const hits = (text: string): string[] => [...found(whole, text)!].filter((id) => whole.nodes.get(id)!.kind === "container").sort();
  assert.equal(found(whole, "  "), null);
  assert.deepEqual(hits("10.0.0.2 store"), ["store"]);
  assert.deepEqual(hits("state:exited"), ["worker"]);
  assert.deepEqual(hits("label:tier=front"), ["web"]);
  assert.deepEqual(hits("label:tier -state:exited"), ["web"]);
  assert.deepEqual(hits("kind:container -network:app"), ["store"]);
  assert.deepEqual(hits("-label:tier"), ["store"], "of everything else nothing is taken for being near");
  assert.deepEqual(hits("fd00::1"), [], "an address is not a field");
  assert.deepEqual(hits("constructor:web"), [], "nor is what every object of JavaScript has");
  assert.deepEqual([...only(whole, found(whole, "state:exited")!).nodes.keys()].sort(), ["app", "host:h", "worker"]);
});

test("a change of state is taken in as building anew would show it; what moves something is not", () => {
  const found = graph(STATE, ALL);
  const put = (data: Json) => ({ n: 1, op: "put" as const, kind: "container", id: String(data["id"]), data });
  const ended = container("web", ["app", "db"], { ...port, state: "exited" });
  assert.ok(patch(found, put(ended), ALL));
  assert.deepEqual(found.nodes, graph({ ...STATE, container: { ...STATE["container"], web: ended } }, ALL).nodes);
  assert.ok(patch(found, { n: 2, op: "put", kind: "operation", id: "o", data: {} }, ALL));
  assert.ok(!patch(found, put(container("web", ["app"], port)), ALL), "an endpoint went");
  assert.ok(!patch(found, put(container("new", ["app"])), ALL));
  assert.ok(!patch(found, { n: 3, op: "delete", kind: "container", id: "web", data: null }, ALL));
  assert.ok(!patch(graph(STATE, { ...ALL, stopped: false }), put(ended), { ...ALL, stopped: false }), "it is no longer shown");
});

test("a moved network takes along what it holds, moves nobody else, and its host grows around it", () => {
  const found = graph(STATE, ALL);
  const before = layout(found);
  const after = layout(found, undefined, new Map([["app", [900, 700] as const]]));
  const room = after.boxes.get("app")!;
  assert.deepEqual([room.x - after.boxes.get("host:h")!.x, room.y - after.boxes.get("host:h")!.y], [900, 700]);
  assert.equal(after.boxes.get("web")!.x - room.x, before.boxes.get("web")!.x - before.boxes.get("app")!.x);
  for (const id of ["db", "store", "spare"]) assert.deepEqual(after.boxes.get(id), before.boxes.get(id), id);
  const host = after.boxes.get("host:h")!;
  assert.ok(room.x + room.width <= host.x + host.width && room.y + room.height <= host.y + host.height);
});

test("a drag takes a network by its head, a container anywhere, and nothing else", () => {
  const found = graph(STATE, ALL);
  const { boxes } = layout(found);
  const app = boxes.get("app")!;
  assert.equal(grabs(found.nodes.get("app"), app, app.y + 5), "room");
  assert.equal(grabs(found.nodes.get("app"), app, app.y + app.height - 2), null);
  assert.equal(grabs(found.nodes.get("web"), boxes.get("web"), boxes.get("web")!.y + 20), "line");
  assert.equal(grabs(found.nodes.get("host:h"), boxes.get("host:h"), 5), null);
});

test("a line from a container ends at a network of its host on which it is not yet", () => {
  const other = { ...network("other"), host: "i" };
  const none = { ...network("none"), driver: "null" };
  const found = graph({ ...STATE, host: { ...STATE["host"], i: {} }, network: { ...STATE["network"], other, none } }, ALL);
  const to = (id: string): boolean => mayJoin(found.nodes.get("web")!, found.nodes.get(id));
  assert.deepEqual(["spare", "app", "db", "other", "none", "store", "gone"].map(to), [true, false, false, false, false, false, false]);
});

test("Mermaid and JSON hold every node and edge, and no name breaks out of its quotes", () => {
  const state: State = { ...STATE, network: keyed([{ ...network("app"), name: 'a"] end; x["' }, network("db"), network("spare")]) };
  const found = graph(state, ALL);
  const chart = asMermaid(found, { outside: "Outside" });
  assert.equal(chart.split("\n").filter((line) => /^\s+(subgraph )?n\d+[[(]/.test(line)).length, found.nodes.size);
  assert.equal(chart.split("\n").filter((line) => /^ {2}n\d+ (-->|---|-\.->|-\.-)/.test(line)).length, found.edges.length);
  for (const line of chart.split("\n")) assert.equal((line.match(/"/g) ?? []).length % 2, 0, line);
  assert.ok(chart.includes("a#quot;] end; x[#quot;"));
  const told = JSON.parse(asJson(found)) as { nodes: { id: string; endpoints?: Json[] }[]; edges: unknown[] };
  assert.deepEqual([told.nodes.length, told.edges.length], [found.nodes.size, found.edges.length]);
  const web = told.nodes.find((node) => node.id === "web")!;
  assert.deepEqual(web.endpoints!.map((item) => [item["network"], item["interface"], item["mac"]]), [["app", "eth0", "02:42:0a:00:00:02"], ["db", "eth1", "02:42:0a:00:00:02"]]);
});
