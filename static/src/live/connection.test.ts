import assert from "node:assert/strict";
import { test } from "node:test";
import { Connection, SIGNED_OUT, wait, type Status, type Surroundings } from "./connection";

class Wire {
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  closed = false;
  constructor(readonly url: string) {}
  close(): void {
    this.closed = true;
  }
}

/** A browser whose clock is turned by hand. */
class Hand implements Surroundings {
  wires: Wire[] = [];
  timers = new Map<number, { run: () => void; ms: number }>();
  private next = 1;
  open(url: string): WebSocket {
    this.wires.push(new Wire(url));
    return this.wires.at(-1) as unknown as WebSocket;
  }
  later(run: () => void, ms: number): number {
    this.timers.set(this.next, { run, ms });
    return this.next++;
  }
  cancel(timer: number): void {
    this.timers.delete(timer);
  }
  random = () => 0.5;
  fire(): void {
    const [timer, { run }] = [...this.timers].at(-1)!;
    this.timers.delete(timer);
    run();
  }
}

function connected() {
  const hand = new Hand();
  const statuses: Status[] = [];
  const messages: unknown[] = [];
  const connection = new Connection("/live", () => ({ epoch: "é", n: 7 }), (m) => messages.push(m), (s) => statuses.push(s), hand);
  connection.start();
  return { hand, statuses, messages, connection };
}

test("it says where it stands", () => {
  assert.equal(connected().hand.wires[0]!.url, "/live?epoch=%C3%A9&since=7");
});

test("a ping says that all is well and is no message", () => {
  const { hand, statuses, messages } = connected();
  hand.wires[0]!.onmessage!({ data: '{"type":"ping"}' });
  assert.deepEqual(messages, []);
  assert.deepEqual(statuses.at(-1), { state: "live" });
});

test("a lost connection is tried again, later and later, never later than half a minute", () => {
  const { hand, statuses } = connected();
  for (let failures = 0; failures < 8; failures++) {
    hand.wires.at(-1)!.onclose!({ code: 1006 });
    assert.equal(statuses.at(-1)!.state, "waiting");
    hand.fire();
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
  hand.fire();
  assert.ok(hand.wires[0]!.closed);
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
  assert.ok(first.closed && first.onmessage === null);
  connection.resume();
  assert.equal(hand.wires.length, 2);
  assert.deepEqual(messages, []);
});
