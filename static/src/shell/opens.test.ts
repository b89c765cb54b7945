import assert from "node:assert/strict";
import { test } from "node:test";
import { named } from "./opens";

test("the part that an address names is found, and one that cannot be read names none", () => {
  assert.equal(named("#schema-Network"), "schema-Network");
  assert.equal(named("#%E7%BD%91"), "网");
  assert.equal(named(""), "");
  assert.equal(named("#100%"), "");
});
