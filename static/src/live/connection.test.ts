import assert from "node:assert/strict";
import { test } from "node:test";
import { Connection, type Message, type Status } from "./connection";
import { Hand } from "./hand";
import { SIGNED_OUT, wait } from "./line";
import type { Answer } from "./poll";

const SILENCE_MS = 25_000;

/** `answer`: what the REST API says where it is asked; null: it is away too. */
function connected(answer: Answer | number | null = null) {
  const hand = new Hand();
  const statuses: Status[] = [];
  const messages: Message[] = [];
  const asked: number[] = [];
  const position = { epoch: "é", n: 7 };
  const connection = new Connection(
    "/live",
    () => position,
    (message) => messages.push(message),
    (status) => statuses.push(status),
    hand,
    ({ n }) => {
      asked.push(n);
      return answer === null ? Promise.reject(new Error("away")) : Promise.resolve(answer);
    },
  );
  /** The REST API answers, if it is asked. */
  const polled = async (): Promise<void> => {
    hand.fire(0, 0);
    await new Promise((done) => setTimeout(done, 0));
  };
  connection.start();
  return { hand, statuses, messages, connection, asked, polled };
}

test("it says where it stands", () => {
  assert.equal(connected().hand.wires[0]!.url, "/live?epoch=%C3%A9&since=7");
});

test("a ping says that all is well, and with the worker or not", () => {
  const { hand, statuses, messages } = connected();
  hand.wire.says({ type: "ping", alive: false });
  assert.deepEqual(messages, [{ type: "ping", alive: false }]);
  assert.deepEqual(statuses.at(-1), { state: "live" });
});

test("a lost connection is tried again, later and later, never later than half a minute", async () => {
  const { hand, statuses, polled } = connected();
  for (let failures = 0; failures < 8; failures++) {
    hand.wire.onclose!({ code: 1006 });
    await polled();
    assert.equal(statuses.at(-1)!.state, "waiting");
    hand.fire(500, 20_000);
    assert.equal(hand.wires.length, failures + 2);
  }
  for (const random of [0, 0.5, 1]) {
    for (let failures = 0; failures < 40; failures++) {
      assert.ok(wait(failures, random) >= 500 && wait(failures, random) <= 30_000);
    }
  }
});

test("silence counts as a lost connection", () => {
  const { hand, statuses } = connected();
  hand.wire.says({ type: "ping", alive: true });
  hand.fire(SILENCE_MS, SILENCE_MS);
  assert.equal(hand.wires[0]!.readyState, 3);
  assert.equal(statuses.at(-1)!.state, "waiting");
});

test("who is signed out is not tried again", () => {
  const { hand, statuses, connection } = connected();
  hand.wires[0]!.onclose!({ code: SIGNED_OUT });
  assert.deepEqual(statuses.at(-1), { state: "out" });
  assert.equal(hand.timers.size, 0);
  connection.hurry();
  assert.equal(hand.wires.length, 1);
});

test("a paused page hears nothing and comes back", () => {
  const { hand, connection, messages } = connected();
  const first = hand.wires[0]!;
  connection.pause();
  assert.ok(first.readyState === 3 && first.onmessage === null);
  connection.resume();
  assert.equal(hand.wires.length, 2);
  assert.deepEqual(messages, []);
});

test("where no WebSocket comes through the feed is asked for, and says so; a WebSocket is tried again later", async () => {
  const { hand, statuses, messages, asked, polled } = connected({ type: "events", epoch: "é", events: [], alive: true });
  hand.wire.onclose!({ code: 1006 });
  await polled();
  assert.deepEqual(statuses.at(-1), { state: "polled" });
  assert.deepEqual(messages.map((message) => message.type), ["events", "ping"]);
  assert.deepEqual(asked, [7]);
  for (let more = 0; more < 39; more++) {
    assert.equal(hand.wires.length, 1);
    hand.fire(3000, 3000);
    await polled();
  }
  assert.equal(asked.length, 40);
  assert.equal(hand.wires.length, 2);
  assert.deepEqual(statuses.at(-1), { state: "polled" }, "nobody sees that");
  hand.wire.says({ type: "ping", alive: true });
  assert.deepEqual(statuses.at(-1), { state: "live" });
});

test("who is signed out by that way is not tried again either", async () => {
  const { hand, statuses, polled } = connected(401);
  hand.wire.onclose!({ code: 1006 });
  await polled();
  assert.deepEqual(statuses.at(-1), { state: "out" });
  assert.equal(hand.timers.size, 0);
});

test("a connection that had spoken waits, and asks nobody else", async () => {
  const { hand, statuses, asked, polled } = connected();
  hand.wire.says({ type: "ping", alive: true });
  hand.wire.onclose!({ code: 1006 });
  await polled();
  assert.equal(statuses.at(-1)!.state, "waiting");
  assert.deepEqual(asked, []);
});

test("who was signed out and is back is live again, from where the page stood", () => {
  const { hand, statuses, connection } = connected();
  hand.wire.onclose!({ code: SIGNED_OUT });
  assert.deepEqual(statuses.at(-1), { state: "out" });
  connection.hurry();
  assert.equal(hand.wires.length, 1, "it does not try by itself");
  connection.back();
  assert.equal(hand.wires.length, 2);
  assert.equal(hand.wire.url, "/live?epoch=%C3%A9&since=7");
  hand.wire.says({ type: "ping", alive: true });
  assert.deepEqual(statuses.at(-1), { state: "live" });
});
