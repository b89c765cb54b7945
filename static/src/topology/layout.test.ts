import assert from "node:assert/strict";
import { test } from "node:test";
import type { Json, State } from "../live/reducer";
import { graph, neighbours, OUTSIDE } from "./graph";
import { layout, step, type Box } from "./layout";

function network(id: string, more: Json = {}): Json {
  return { id, name: id, host: "h", driver: "bridge", bridge: `br-${id}`, predefined: false, status: "ready", activation: 1, subnets: [], ...more };
}

function container(id: string, networks: string[], more: Json = {}): Json {
  const endpoints = networks.map((name, number) => ({ network: { id: name, name }, ipv4: `10.0.${number}.2/24`, ipv6: "", interface: `eth${number}` }));
  return { id, name: id, host: "h", image: "host", state: "running", created_at: id, network_mode: networks[0], endpoints, ports: [], links: [], ...more };
}

function state(networks: Json[], containers: Json[]): State {
  const keyed = (list: Json[]) => Object.fromEntries(list.map((item) => [String(item["id"]), item]));
  return { host: { h: { kernel: "6.1", alive: true } }, network: keyed(networks), container: keyed(containers) };
}

const ALL = { emptyPredefined: true, stopped: true };
const published = { ports: [{ id: "p", protocol: "tcp", host_address: "", host_port: 8080, container_port: 80 }] };

test("hosts hold networks, networks hold containers", () => {
  const found = graph(state([network("app")], [container("web", ["app"])]), ALL);
  assert.equal(found.nodes.get("web")?.parent, "app");
  assert.equal(found.nodes.get("app")?.parent, "host:h");
});

test("a second network is an edge with its interface and address", () => {
  const found = graph(state([network("app"), network("db")], [container("web", ["app", "db"])]), ALL);
  assert.deepEqual(found.edges.map(({ kind, from, to, label }) => [kind, from, to, label]), [["endpoint", "web", "db", "eth1 10.0.1.2"]]);
});

test("a published port opens the host to the outside, one on loopback does not", () => {
  const open = graph(state([network("app")], [container("web", ["app"], published)]), ALL);
  assert.ok(open.nodes.has("port:p") && open.nodes.has(OUTSIDE));
  const local = { ports: [{ ...published.ports[0]!, host_address: "127.0.0.1" }] };
  assert.ok(!graph(state([network("app")], [container("web", ["app"], local)]), ALL).nodes.has(OUTSIDE));
});

test("predefined networks that hold nothing are hidden unless asked for", () => {
  const networks = [network("bridge", { predefined: true })];
  assert.ok(!graph(state(networks, []), { ...ALL, emptyPredefined: false }).nodes.has("bridge"));
  assert.ok(graph(state(networks, []), ALL).nodes.has("bridge"));
});

test("the neighbourhood of a node is what it touches, holds and stands in", () => {
  const found = graph(state([network("app"), network("db")], [container("web", ["app", "db"], published), container("x", ["app"])]), ALL);
  assert.deepEqual([...neighbours(found, "web")].sort(), ["app", "db", "host:h", "port:p", "web"]);
});

function inside(inner: Box, outer: Box): boolean {
  return inner.x >= outer.x && inner.y >= outer.y && inner.x + inner.width <= outer.x + outer.width && inner.y + inner.height <= outer.y + outer.height;
}

function apart(a: Box, b: Box): boolean {
  return a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y;
}

for (const [networks, each] of [[1, 1], [3, 7], [12, 40], [40, 3]] as const) {
  test(`${networks} networks of ${each} containers lie in one another and never on one another`, () => {
    const names = Array.from({ length: networks }, (_, number) => `n${number}`);
    const list = names.flatMap((name) => Array.from({ length: each }, (_, number) => container(`${name}-${number}`, [name])));
    const drawn = graph(state(names.map((name) => network(name)), list), ALL);
    const { boxes } = layout(drawn);
    for (const node of drawn.nodes.values()) {
      if (node.parent) assert.ok(inside(boxes.get(node.id)!, boxes.get(node.parent)!), node.id);
      const held = (drawn.children.get(node.id) ?? []).map((id) => boxes.get(id)!);
      held.forEach((one, at) => held.slice(at + 1).forEach((other) => assert.ok(apart(one, other), node.id)));
    }
  });
}

test("a newcomer moves nobody as long as there is room", () => {
  const some = (count: number) => layout(graph(state([network("app")], Array.from({ length: count }, (_, n) => container(`c${n + 100}`, ["app"]))), ALL));
  const before = some(9);
  const after = some(10);
  for (const id of before.boxes.keys()) {
    if (id.startsWith("c")) assert.deepEqual(after.boxes.get(id), before.boxes.get(id));
  }
});

test("room grows in steps", () => assert.deepEqual([1, 4, 5, 7, 9, 13, 17].map(step), [1, 4, 6, 8, 12, 16, 24]));

test("a new network moves no other, save where the columns grow by a step", () => {
  const place = (count: number) =>
    layout(graph(state(Array.from({ length: count }, (_, n) => network(`n${n + 100}`, { activation: n })), Array.from({ length: count * 3 }, (_, n) => container(`c${n + 100}`, [`n${Math.floor(n / 3) + 100}`]))), ALL)).boxes;
  let steps = 0;
  for (let count = 1; count < 40; count++) {
    const before = place(count);
    const after = place(count + 1);
    const moved = [...before].filter(([id, box]) => id !== "host:h" && (after.get(id)!.x !== box.x || after.get(id)!.y !== box.y));
    if (moved.length) steps += 1;
  }
  assert.ok(steps <= 6, `${steps} of 39 newcomers moved others`);
});
