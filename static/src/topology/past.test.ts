import assert from "node:assert/strict";
import { test } from "node:test";
import type { Json, State } from "../live/reducer";
import { Announcer } from "./announce";
import { graph, newNode, type Graph, type Node } from "./graph";
import { histogram, signs, step, withGone, type Comparison, type Span } from "./past";
import { hostOf, of } from "./actions";
import { question } from "./tracing";

const POINTS: Span["points"] = [10, 20, 20, 90].map((second) => [new Date(second * 1000).toISOString(), "container", "put"]);

function lone(id: string): Json {
  return { id, name: id, host: "h", image: "host", state: "running", created_at: id, network_mode: "none", endpoints: [], ports: [], links: [] };
}

test("a step goes to the next point of time on that side, and nowhere past the last", () => {
  assert.equal(step(POINTS, 10_000, 1), 20_000);
  assert.equal(step(POINTS, 20_000, -1), 10_000);
  assert.equal(step(POINTS, 15_000, -1), 10_000);
  assert.equal(step(POINTS, 95_000, 1), null);
  assert.equal(step(POINTS, 10_000, -1), null);
});

test("bars count what happened in each part, and leave out what is beyond", () => {
  assert.deepEqual(histogram(POINTS, 0, 100_000, 5), [1, 2, 0, 0, 1]);
  assert.deepEqual(histogram(POINTS, 50_000, 100_000, 1), [1]);
  assert.deepEqual(histogram([], 0, 0, 2), [0, 0]);
});

test("what went stays in the picture of a comparison, marked", () => {
  const before: State = { container: { a: { name: "a" }, b: { name: "b" } }, network: {} };
  const after: State = { container: { b: { name: "b2" }, c: {} }, host: { h: {} } };
  const both = withGone(after, before);
  assert.deepEqual(Object.keys(both["container"]!).sort(), ["a", "b", "c"]);
  assert.equal(both["container"]!["b"]!["name"], "b2", "what is there is as it is, not as it was");
  assert.ok(both["host"]);
  const change = (kind: string, id: string, sign: "+" | "-" | "~") => ({ kind, id, name: id, sign, fields: [], causes: [] });
  const compared: Comparison = { since: "", at: "", left_out: 0, rules: null, changes: [change("container", "a", "-"), change("host", "h", "~"), change("drift", "1", "+")] };
  const shown = graph({ ...both, container: { a: { ...lone("a") }, b: lone("b") } }, { emptyPredefined: true, stopped: true });
  assert.deepEqual([...signs(compared, shown)], [["a", "−"], ["host:h", "~"]]);
  assert.equal(signs(null, shown).size, 0);
});

test("a trace goes from the chosen container to another, or to where a published port leads, and nowhere else", () => {
  const node = (kind: Node["kind"], id: string, data: Json | null = null): Node => newNode({ id, kind, name: id, parent: null, data });
  const one: Graph = { nodes: new Map(), edges: [], children: new Map() };
  const web = node("container", "web", { host: "h", endpoints: [{ network: { id: "span" } }] });
  const ports = [{ container_port: 53, protocol: "udp" }];
  const asked = (to: Node, among = one): string | undefined => question(web, to, among)?.toString();
  assert.equal(asked(node("container", "db", { host: "h", ports: [] })), "from=web&to=db&protocol=icmp");
  assert.equal(asked(node("container", "dns", { host: "h", ports })), "from=web&to=dns&port=53&protocol=udp");
  const leads = { container: { id: "db", name: "db" }, host_address: "", host_port: 5433, container_port: 5432, protocol: "tcp" };
  assert.equal(asked(node("port", "port:1", { host: "h", ...leads })), "from=web&to=db&port=5432&protocol=tcp");
  assert.equal(question(web, web, one), null);
  assert.equal(asked(node("network", "n")), undefined);

  const hosts = new Map([node("host", "host:h"), node("host", "host:far", { addresses: ["192.0.2.12/24"] })].map((host) => [host.id, host]));
  const two = { ...one, nodes: hosts, several: true };
  const far = { host: "far", ports: [], endpoints: [{ network: { id: "span" }, ipv4: "10.9.0.3/24" }] };
  assert.equal(asked(node("container", "db", far), two), "from=web&to=10.9.0.3&protocol=icmp", "names are known on their host alone");
  assert.equal(asked(node("container", "db", { ...far, endpoints: [] }), two), undefined, "nothing joins them");
  assert.equal(asked(node("port", "port:1", { host: "far", ...leads }), two), "from=web&to=192.0.2.12&port=5433&protocol=tcp");
  assert.equal(of("/@HOST/containers/OBJECT/", "web", hostOf(two, web), { tab: "logs" }), "/@h/containers/web/?tab=logs", "of its host, where there are several");
  assert.equal(of("/@HOST/containers/OBJECT/", "web", hostOf(one, web)), "/containers/web/");
});

test("what changed is said by name, in its last state, until it was heard; of much only how much", () => {
  const put = (id: string, state: string) => ({ n: 1, op: "put" as const, kind: "container", id, data: { name: id, state } });
  const words = { "state.running": "running", "state.exited": "exited", saidGone: "{name} is gone", changed: "{count} changed" };
  const said: string[] = [];
  let heard = (): void => {};
  const announcer = new Announcer(words, (id) => (id === "x" ? { name: "app", state: "ready" } : undefined), (text, spoken) => {
    said.push(text);
    heard = spoken!;
  });
  announcer.news([put("a", "running"), put("a", "exited"), { n: 2, op: "delete", kind: "network", id: "x", data: null }]);
  assert.equal(said.at(-1), "a: exited. app is gone");
  announcer.news([put("b", "running")]);
  assert.equal(said.at(-1), "a: exited. app is gone. b: running", "what was not told yet is not lost");
  announcer.news([put("c", "running")]);
  assert.equal(said.at(-1), "4 changed");
  heard();
  announcer.news([put("d", "running")]);
  assert.equal(said.at(-1), "d: running");
  const count = said.length;
  announcer.news([{ ...put("a", "running"), kind: "operation" }, { n: 3, op: "put", kind: "network", id: "x", data: { name: "app", status: "ready" } }]);
  assert.equal(said.length, count, "a network that is as it was says nothing");
});
