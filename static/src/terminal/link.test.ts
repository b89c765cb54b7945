import assert from "node:assert/strict";
import { test } from "node:test";
import { Hand } from "../live/hand";
import { Link, PIECE, WINDOW, type Screen, type Size, type Status } from "./link";

class Paper implements Screen {
  text = "";
  old = "";
  restarts: boolean[] = [];
  states: Status[] = [];
  size(): Size {
    return { columns: 100, rows: 30 };
  }
  restart(cut: boolean): void {
    this.restarts.push(cut);
    this.text = "";
  }
  output(data: Uint8Array, old: boolean): void {
    const text = new TextDecoder().decode(data);
    this.text += text;
    if (old) this.old += text;
  }
  status(status: Status): void {
    this.states.push(status);
  }
}

function begin(): { hand: Hand; paper: Paper; link: Link } {
  const hand = new Hand();
  const paper = new Paper();
  const link = new Link("ws://x/t/", paper, hand);
  link.start();
  return { hand, paper, link };
}

test("it says its size and its place, and comes back to where it was", () => {
  const { hand, paper } = begin();
  assert.equal(hand.wire.url, "ws://x/t/?since=0&columns=100&rows=30");
  hand.wire.says({ type: "attached", from: 0, total: 3 });
  hand.wire.prints("abc");
  hand.wire.prints("def");
  hand.wire.onclose?.({ code: 1006 });
  assert.equal(paper.states.at(-1)?.state, "waiting");
  hand.fire(500, 9000);
  assert.equal(hand.wire.url, "ws://x/t/?since=6&columns=100&rows=30");
  hand.wire.says({ type: "attached", from: 6, total: 8 });
  hand.wire.prints("gh");
  assert.equal(paper.text, "abcdefgh");
  assert.deepEqual(paper.restarts, [false]);
  assert.equal(paper.old, "abc", "what was printed before this page connected is nobody's to answer");
});

test("what is no longer kept begins anew, and says that it is cut", () => {
  const { hand, paper } = begin();
  hand.wire.says({ type: "attached", from: 0, total: 0 });
  hand.wire.prints("abc");
  hand.wire.onclose?.({ code: 1006 });
  hand.fire(500, 9000);
  hand.wire.says({ type: "attached", from: 9000, total: 9003 });
  hand.wire.prints("xyz");
  assert.deepEqual(paper.restarts, [false, true]);
  assert.equal(paper.text, "xyz");
});

test("a large paste goes out in pieces, as fast as it is taken", () => {
  const { hand, link } = begin();
  hand.wire.says({ type: "attached", from: 0, total: 0 });
  link.type(new Uint8Array(300_000));
  assert.equal(hand.wire.bytes, WINDOW);
  assert.ok(hand.wire.sent.every((item) => typeof item === "string" || item.length <= PIECE));
  hand.wire.says({ type: "ack", bytes: PIECE });
  assert.equal(hand.wire.bytes, WINDOW + PIECE);
  for (let turn = 0; turn < 40; turn += 1) hand.wire.says({ type: "ack", bytes: PIECE });
  assert.equal(hand.wire.bytes, 300_000);
});

test("what is typed without a connection is not kept for later", () => {
  const { hand, link } = begin();
  link.type(new Uint8Array(4));
  hand.wire.says({ type: "attached", from: 0, total: 0 });
  assert.equal(hand.wire.bytes, 0);
  link.type(new Uint8Array(300_000));
  hand.wire.onclose?.({ code: 1006 });
  link.type(new Uint8Array(4));
  hand.fire(500, 9000);
  hand.wire.says({ type: "attached", from: 0, total: 0 });
  assert.equal(hand.wire.bytes, 0);
});

test("what was shown is acknowledged in large steps", () => {
  const { hand, link } = begin();
  hand.wire.says({ type: "attached", from: 0, total: 0 });
  link.shown(10_000);
  link.shown(10_000);
  assert.equal(hand.wire.sent.length, 0);
  link.shown(20_000);
  assert.deepEqual(JSON.parse(hand.wire.sent[0] as string), { type: "ack", bytes: 40_000 });
});

test("an end is an end, and a silent line is left", () => {
  for (const [said, state] of [
    [{ type: "ended", exit_code: 3, reason: "exited" }, "ended"],
    [{ type: "taken" }, "taken"],
    [{ type: "refused", code: "forbidden", words: "no" }, "refused"],
  ] as const) {
    const { hand, paper } = begin();
    hand.wire.says(said);
    hand.fire(0, 60_000);
    assert.equal(paper.states.at(-1)?.state, state);
    assert.equal(hand.wires.length, 1);
  }
  const { hand, paper } = begin();
  hand.wire.says({ type: "attached", from: 0, total: 0 });
  hand.fire(9_000, 11_000);
  assert.deepEqual(JSON.parse(hand.wire.sent[0] as string), { type: "ping" });
  hand.fire(25_000, 25_000);
  assert.equal(paper.states.at(-1)?.state, "waiting");
  for (const [code, state] of [
    [4401, "out"],
    [4404, "gone"],
  ] as const) {
    const other = begin();
    other.hand.wire.onclose?.({ code });
    assert.equal(other.paper.states.at(-1)?.state, state);
    assert.equal(other.hand.timers.size > 2, false);
  }
});
