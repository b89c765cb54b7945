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
  assert.deepEqual(strokes.press(stroke("k"), 0), { act: "row", by: -1 });
  assert.equal(strokes.press(stroke("k", { ctrl: true, alt: true }), 0), null);
});

test("g and a letter go to a page, if the letter comes soon", () => {
  const strokes = new Strokes(true);
  assert.equal(strokes.press(stroke("g"), 0), null);
  assert.deepEqual(strokes.press(stroke("n"), CHORD_MS), { act: "go", to: "n" });
  assert.deepEqual(strokes.press(stroke("n"), CHORD_MS), { act: "press", key: "n" }, "the letter alone is the page's");
  strokes.press(stroke("g"), 5000);
  assert.deepEqual(strokes.press(stroke("n"), 5001 + CHORD_MS), { act: "press", key: "n" });
  strokes.press(stroke("g"), 10_000);
  assert.equal(strokes.press(stroke("Escape"), 10_001), null);
  assert.deepEqual(strokes.press(stroke("n"), 10_002), { act: "press", key: "n" }, "another key ends it");
});

test("nothing is meant by what goes into a field, and single keys can be turned off", () => {
  const typing = new Strokes(true);
  for (const key of ["/", "?", "g", "n", "j", "x"]) assert.equal(typing.press(stroke(key, { typing: true }), 0), null);
  const off = new Strokes(false);
  for (const key of ["/", "?", "g", "n", "j", "x"]) assert.equal(off.press(stroke(key), 0), null);
  assert.deepEqual(off.press(stroke("k", { ctrl: true }), 0), { act: "palette" });
  const on = new Strokes(true);
  assert.deepEqual(on.press(stroke("/"), 0), { act: "search" });
  assert.deepEqual(on.press(stroke("?"), 0), { act: "help" });
});

test("j and k go through the rows, x picks one, and other letters are for the page to know", () => {
  const strokes = new Strokes(true);
  assert.deepEqual(strokes.press(stroke("j"), 0), { act: "row", by: 1 });
  assert.deepEqual(strokes.press(stroke("k"), 0), { act: "row", by: -1 });
  assert.deepEqual(strokes.press(stroke("x"), 0), { act: "select" });
  assert.deepEqual(strokes.press(stroke("c"), 0), { act: "press", key: "c" });
  for (const key of ["C", "1", "Enter", "c-"]) assert.equal(strokes.press(stroke(key), 0), null);
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
