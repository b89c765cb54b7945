import assert from "node:assert/strict";
import { test } from "node:test";
import { reduction, sight } from "./minimap";

const BOUNDS = { x: 0, y: 0, width: 1680, height: 560 };

test("the whole fits, by its longer side", () => {
  assert.equal(reduction(BOUNDS), 0.1);
  assert.equal(reduction({ ...BOUNDS, height: 2240 }), 0.05);
});

test("nothing is marked while all of it is in sight", () => {
  assert.equal(sight(BOUNDS, { x: 20, y: 20, k: 0.5 }, 900, 400), null);
});

test("what is in sight is marked, and no more than there is", () => {
  assert.deepEqual(sight(BOUNDS, { x: -400, y: 50, k: 1 }, 800, 400), { x: 40, y: 0, width: 80, height: 35 });
  assert.deepEqual(sight(BOUNDS, { x: -1000, y: 0, k: 0.5 }, 800, 400), { x: 168, y: 0, width: 0, height: 56 });
});
