import assert from "node:assert/strict";
import { test } from "node:test";
import { fill } from "./words";

test("places are filled, numbers as the language writes them, and what is not given stays", () => {
  assert.equal(fill("{count} of {name}, {other}", { count: 12_345, name: "10000" }, "en"), "12,345 of 10000, {other}");
  assert.equal(fill("{count}", { count: 12_345 }, "de"), "12.345");
});
