import assert from "node:assert/strict";
import { test } from "node:test";
import { ago, NOW_S } from "./times";

test("it is said as the server says it", () => {
  assert.equal(ago(NOW_S - 0.1, "en"), null);
  assert.equal(ago(59.9, "en"), "59 seconds ago");
  assert.equal(ago(60, "en"), "1 minute ago");
  assert.equal(ago(7199, "en"), "1 hour ago");
  assert.equal(ago(86_400 * 3, "en"), "3 days ago");
  assert.equal(ago(180, "zh-hans"), "3分钟前");
});
