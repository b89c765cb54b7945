import assert from "node:assert/strict";
import { test } from "node:test";
import type { Samples } from "../live/traffic";
import type { Json, State } from "../live/reducer";
import { graph, type Graph } from "./graph";
import { layout } from "./layout";
import { flows, rate, weight } from "./traffic";

const endpoint = (id: string, network: string, device: string): Json => ({ id, network: { id: network, name: network }, ipv4: "10.0.0.2/24", ipv6: "", interface: "eth0", mac: "02:42:0a:00:00:02", device });
const port = (id: string, number: number, address = "", protocol = "tcp"): Json => ({ id, protocol, host_address: address, host_port: number, container_port: 80 });
const network = (id: string): Json => ({ id, name: id, host: "h", driver: "bridge", bridge: `br-${id}`, predefined: false, status: "ready", activation: 1, subnets: [] });
const container = (id: string, endpoints: Json[], more: Json = {}): Json => ({ id, name: id, host: "h", image: "i", state: "running", created_at: id, network_mode: "a", endpoints, ports: [], links: [], ...more });
const keyed = (list: Json[]): Record<string, Json> => Object.fromEntries(list.map((item) => [String(item["id"]), item]));

const STATE: State = {
  host: { h: { alive: true } },
  network: keyed(["a", "b"].map(network)),
  container: keyed([
    container("web", [endpoint("e1", "a", "v1"), endpoint("e2", "b", "v2")], { ports: [port("p1", 80), port("p2", 80, "192.0.2.9"), port("p3", 80, "::"), port("p4", 53, "", "udp")], labels: { tier: "front" } }),
    container("db", [endpoint("e3", "b", "v3")], { state: "exited" }),
  ]),
  foreign: {
    h: {
      host: "h",
      left_out: 0,
      bridges: [{ name: "docker0", network: "bridge", program: "docker", addresses: ["172.18.0.1/16"], up: true }],
      strangers: [
        { id: "netns:1", kind: "namespace", name: "shop", program: "docker", endpoints: [{ device: "veth1", bridge: "docker0", interface: "eth0", addresses: ["172.18.0.2/16"] }] },
        { id: "netns:lab", kind: "namespace", name: "lab", program: "", endpoints: [] },
      ],
    },
  },
};
const ALL = { emptyPredefined: true, stopped: true, foreign: true };
const SAMPLES: Samples = {
  h: {
    at: "",
    every: 1,
    links: { v1: [100, 1, 200, 2], v2: [10, 1, 20, 2], "br-a": [5, 1, 5, 1], veth1: [7, 1, 7, 1] },
    ports: { "tcp 192.0.2.1 80": [1000, 10, 2000, 20], "tcp 192.0.2.9 80": [1, 1, 1, 1], "tcp 2001:db8::1 80": [3, 1, 3, 1] },
  },
};

test("an endpoint's traffic shows at its line and adds up at its container", () => {
  const found = flows(graph(STATE, ALL), SAMPLES);
  assert.deepEqual(found.get("web>b"), [10, 1, 20, 2]);
  assert.deepEqual(found.get("web"), [110, 2, 220, 4]);
  assert.deepEqual(found.get("a"), [5, 1, 5, 1]);
  assert.ok(!found.has("db"), "what does not move has no flow");
});

test("a published port takes what was asked of its own address, or of any of its family", () => {
  const found = flows(graph(STATE, ALL), SAMPLES);
  assert.deepEqual(found.get("port:p1"), [1004, 12, 2004, 22]);
  assert.deepEqual(found.get("port:p2"), [1, 1, 1, 1]);
  assert.deepEqual(found.get("port:p3"), [3, 1, 3, 1]);
  assert.ok(!found.has("port:p4"));
  assert.deepEqual(found.get("outside>port:p2"), found.get("port:p2"), "the line from outside is as wide as the one to the container");
});

test("what is not ours has its traffic too, and a host that tells nothing has none", () => {
  const found = flows(graph(STATE, ALL), SAMPLES);
  assert.deepEqual(found.get("h:netns:1"), [7, 1, 7, 1]);
  assert.equal(flows(graph(STATE, ALL), {}).size, 0);
  assert.equal(flows(graph(STATE, ALL), { h: { at: "", every: 1, links: {}, ports: null } }).size, 0);
});

test("figures have at most three digits, and widths grow with the order of magnitude", () => {
  assert.deepEqual([0, 999, 1000, 9949, 9950, 999_499, 2_520_000].map((bytes) => rate(bytes, "en")), ["0 B/s", "999 B/s", "1.0 kB/s", "9.9 kB/s", "10 kB/s", "999 kB/s", "2.5 MB/s"]);
  const widths = [0, 1, 1e4, 1e6, 1e9, 1e12].map(weight);
  assert.deepEqual(widths, [...widths].sort((a, b) => a - b));
  assert.deepEqual([widths[0], widths.at(-1)], [1.5, 7]);
});

const parents = (found: Graph): Record<string, string | null> => Object.fromEntries([...found.nodes.values()].map((node) => [node.id, node.parent]));

test("what is not ours stands in its own bridges, apart where it has none, and only when asked for", () => {
  const found = parents(graph(STATE, ALL));
  assert.equal(found["h:netns:1"], "foreign:h:docker0");
  assert.equal(found["h:netns:lab"], "foreign:h:apart");
  assert.ok(![...graph(STATE, { ...ALL, foreign: false }).nodes.values()].some((node) => node.kind === "foreign" || node.kind === "stranger"));
  const folded = graph(STATE, { ...ALL, collapsed: new Set(["foreign:h:docker0"]) });
  assert.equal(folded.nodes.get("foreign:h:docker0")?.folded, 1);
  assert.ok(!folded.nodes.has("h:netns:1"));
});

test("what is not ours moves nothing of ours when it is hidden", () => {
  const shown = layout(graph(STATE, ALL)).boxes;
  const hidden = layout(graph(STATE, { ...ALL, foreign: false })).boxes;
  for (const id of ["a", "b", "web", "db", "port:p1"]) assert.deepEqual(hidden.get(id), shown.get(id), id);
});

test("together by label or state: groups hold containers, and every endpoint is a line to its network", () => {
  const byLabel = graph(STATE, { ...ALL, group: "label:tier" });
  assert.equal(byLabel.nodes.get("web")?.parent, "group:h:label:tier=front");
  assert.equal(byLabel.nodes.get("db")?.parent, "group:h:label:tier=");
  assert.deepEqual(byLabel.edges.filter((edge) => edge.kind === "endpoint").map((edge) => [edge.from, edge.to, edge.label]), [
    ["db", "b", "eth0 10.0.0.2 02:42:0a:00:00:02"],
    ["web", "a", "eth0 10.0.0.2 02:42:0a:00:00:02"],
    ["web", "b", "eth0 10.0.0.2 02:42:0a:00:00:02"],
  ]);
  const byState = parents(graph(STATE, { ...ALL, group: "state" }));
  assert.deepEqual([byState["web"], byState["db"]], ["group:h:state=running", "group:h:state=exited"]);
});
