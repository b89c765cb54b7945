import assert from "node:assert/strict";
import { test } from "node:test";
import { bounds } from "./lines";

test("a line of a text is found by its number", () => {
  const text = "a: 1\nbc: 2\n\nd";
  assert.deepEqual(bounds(text, 1), [0, 4]);
  assert.deepEqual(bounds(text, 2), [5, 10]);
  assert.deepEqual(bounds(text, 3), [11, 11]);
  assert.deepEqual(bounds(text, 4), [12, 13]);
  assert.deepEqual(bounds(text, 99), [12, 13]);
});
