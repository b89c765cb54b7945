import assert from "node:assert/strict";
import { test } from "node:test";
import { Reader } from "./stream";

const batch = (text: string, at: string): string => `${JSON.stringify({ lines: [["t", "stdout", text]], at })}\n`;

test("batches come whole however the text is cut", () => {
  const stream = batch("one", "7-10") + batch("two", "7-20");
  for (let size = 1; size < 30; size += 7) {
    const reader = new Reader();
    const seen: string[] = [];
    for (let at = 0; at < stream.length; at += size) {
      for (const found of reader.feed(stream.slice(at, at + size))) seen.push(...(found.lines ?? []).map((line) => line[2]));
    }
    assert.deepEqual(seen, ["one", "two"]);
    assert.equal(reader.place, "7-20");
  }
});

test("a batch that was cut off is asked for again", () => {
  const reader = new Reader();
  reader.feed(batch("one", "7-10") + batch("two", "7-20").slice(0, 20));
  assert.equal(reader.place, "7-10");
  reader.broken();
  assert.equal(reader.feed(batch("two", "7-20"))[0]?.lines?.[0]?.[2], "two");
});

test("a place that is not known keeps the former one", () => {
  const reader = new Reader();
  reader.feed(batch("one", "7-10") + '{"lines":[],"at":""}\n{"end":true}\n');
  assert.equal(reader.place, "7-10");
});
