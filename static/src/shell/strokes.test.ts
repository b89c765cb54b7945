import assert from "node:assert/strict";
import { test } from "node:test";
import { CHORD_MS, moved, Strokes, type Stroke } from "./strokes";

function stroke(key: string, more: Partial<Stroke> = {}): Stroke {
  return { key, ctrl: false, meta: false, alt: false, typing: false, ...more };
}

test("Ctrl-K and Cmd-K open the palette, in a field too", () => {
  const strokes = new Strokes(true);
  assert.deepEqual(strokes.press(stroke("k", { ctrl: true }), 0), { act: "palette" });
  assert.deepEqual(strokes.press(stroke("K", { meta: true, typing: true }), 0), { act: "palette" });
  assert.equal(strokes.press(stroke("k"), 0), null);
  assert.equal(strokes.press(stroke("k", { ctrl: true, alt: true }), 0), null);
});

test("g and a letter go to a page, if the letter comes soon", () => {
  const strokes = new Strokes(true);
  assert.equal(strokes.press(stroke("g"), 0), null);
  assert.deepEqual(strokes.press(stroke("n"), CHORD_MS), { act: "go", to: "n" });
  assert.equal(strokes.press(stroke("n"), CHORD_MS), null, "the letter alone means nothing");
  strokes.press(stroke("g"), 5000);
  assert.equal(strokes.press(stroke("n"), 5001 + CHORD_MS), null);
  strokes.press(stroke("g"), 10_000);
  assert.equal(strokes.press(stroke("Escape"), 10_001), null);
  assert.equal(strokes.press(stroke("n"), 10_002), null, "another key ends it");
});

test("nothing is meant by what goes into a field, and single keys can be turned off", () => {
  const typing = new Strokes(true);
  for (const key of ["/", "?", "g", "n"]) assert.equal(typing.press(stroke(key, { typing: true }), 0), null);
  const off = new Strokes(false);
  for (const key of ["/", "?", "g", "n"]) assert.equal(off.press(stroke(key), 0), null);
  assert.deepEqual(off.press(stroke("k", { ctrl: true }), 0), { act: "palette" });
  const on = new Strokes(true);
  assert.deepEqual(on.press(stroke("/"), 0), { act: "search" });
  assert.deepEqual(on.press(stroke("?"), 0), { act: "help" });
});

test("arrows go round a list, Home and End to its ends", () => {
  assert.equal(moved(-1, 3, "ArrowDown"), 0);
  assert.equal(moved(2, 3, "ArrowDown"), 0);
  assert.equal(moved(0, 3, "ArrowUp"), 2);
  assert.equal(moved(1, 3, "Home"), 0);
  assert.equal(moved(1, 3, "End"), 2);
  assert.equal(moved(1, 3, "x"), 1);
  assert.equal(moved(0, 0, "ArrowDown"), -1);
});
