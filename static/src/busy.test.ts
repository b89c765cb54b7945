import assert from "node:assert/strict";
import { test } from "node:test";
import { busiest } from "./busy";
import type { Flow, Sample } from "./live/traffic";

function sample(links: Record<string, Flow>): Sample {
  return { at: "", every: 1, links, ports: null };
}

test("those that move most come first, of all hosts together, and what stands still does not come", () => {
  const samples = {
    one: sample({ a: [10, 1, 0, 0], b: [0, 0, 500, 2], still: [0, 0, 0, 0] }),
    two: sample({ c: [200, 1, 200, 1], d: [10, 1, 0, 0] }),
  };
  assert.deepEqual(busiest(samples, 9).map(({ host, device }) => `${host} ${device}`), ["one b", "two c", "one a", "two d"]);
  assert.equal(busiest(samples, 2).length, 2);
  assert.deepEqual(busiest({}, 5), []);
});
