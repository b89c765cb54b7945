import assert from "node:assert/strict";
import { test } from "node:test";
import type { Json, State } from "../live/reducer";
import { sentence } from "./announce";
import { newNode, type Node } from "./graph";
import { histogram, signs, step, withGone, type Comparison, type Span } from "./past";
import { question } from "./tracing";

const POINTS: Span["points"] = [10, 20, 20, 90].map((second) => [new Date(second * 1000).toISOString(), "container", "put"]);

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
  assert.deepEqual([...signs(compared)], [["a", "−"], ["host:h", "~"]]);
  assert.equal(signs(null).size, 0);
});

test("a trace goes from the chosen container to another, or to where a published port leads, and nowhere else", () => {
  const node = (kind: Node["kind"], id: string, data: Json | null = null): Node => newNode({ id, kind, name: id, parent: null, data });
  const web = node("container", "web");
  const ports = [{ container_port: 53, protocol: "udp" }];
  assert.equal(question(web, node("container", "db", { ports: [] }))?.toString(), "from=web&to=db&protocol=icmp");
  assert.equal(question(web, node("container", "dns", { ports }))?.toString(), "from=web&to=dns&port=53&protocol=udp");
  const port = node("port", "port:1", { container: { id: "db", name: "db" }, container_port: 5432, protocol: "tcp" });
  assert.equal(question(web, port)?.toString(), "from=web&to=db&port=5432&protocol=tcp");
  assert.equal(question(web, web), null);
  assert.equal(question(web, node("network", "n")), null);
});

test("what changed is said by name, in its last state, and not at all where it is much", () => {
  const put = (id: string, state: string) => ({ n: 1, op: "put" as const, kind: "container", id, data: { name: id, state } });
  const words = { "state.running": "running", "state.exited": "exited", saidGone: "{name} is gone" };
  const gone = { n: 2, op: "delete" as const, kind: "network", id: "x", data: null };
  assert.equal(sentence([put("a", "running"), put("a", "exited"), gone], () => "app", words), "a: exited. app is gone");
  assert.equal(sentence(["a", "b", "c", "d"].map((id) => put(id, "running")), () => undefined, words), "");
  assert.equal(sentence([{ ...put("a", "running"), kind: "operation" }], () => undefined, words), "");
});
