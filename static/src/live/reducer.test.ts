import assert from "node:assert/strict";
import { test } from "node:test";
import { NOTHING, reduce, type Change, type Known } from "./reducer";

const put = (n: number, id: string, name: string): Change => ({ n, op: "put", kind: "network", id, data: { name } });
const gone = (n: number, id: string): Change => ({ n, op: "delete", kind: "network", id, data: null });
const start: Known = { epoch: "e", n: 5, state: { network: { a: { name: "old" } } } };
const events = (...list: Change[]) => ({ type: "events" as const, epoch: "e", events: list });

test("a snapshot replaces everything", () => {
  const next = reduce(start, { type: "snapshot", epoch: "f", n: 9, state: { container: {} } });
  assert.deepEqual(next, { epoch: "f", n: 9, state: { container: {} } });
});

test("changes are applied in order, and what was known before stays as it was", () => {
  const next = reduce(start, events(put(6, "b", "new"), gone(7, "a")));
  assert.deepEqual(next, { epoch: "e", n: 7, state: { network: { b: { name: "new" } } } });
  assert.deepEqual(start.state, { network: { a: { name: "old" } } });
});

test("what is told twice is taken once", () => {
  assert.equal(reduce(start, events(put(4, "a", "older"), put(5, "a", "old"))), start);
  assert.equal(reduce(start, events(put(5, "a", "x"), put(6, "a", "y")))?.state["network"]?.["a"]?.["name"], "y");
});

test("a gap is told, not papered over", () => assert.equal(reduce(start, events(put(7, "b", "new"))), null));

test("numbers of another epoch mean nothing", () => {
  assert.equal(reduce(start, { ...events(put(6, "b", "new")), epoch: "f" }), null);
});

test("any way of cutting one history into messages gives one state", () => {
  let seed = 20261124;
  const random = (below: number) => ((seed = (seed * 1103515245 + 12345) % 2 ** 31) >> 8) % below;
  for (let round = 0; round < 200; round++) {
    const history: Change[] = [];
    for (let n = 1; n <= 30; n++) history.push(random(3) ? put(n, `i${random(6)}`, `v${n}`) : gone(n, `i${random(6)}`));
    const whole = reduce({ ...NOTHING, epoch: "e" }, events(...history));
    let known: Known = { ...NOTHING, epoch: "e" };
    while (known.n < 30) {
      const from = Math.max(0, known.n - random(4)); // some of it once more
      const next = reduce(known, events(...history.slice(from, known.n + 1 + random(7))));
      assert.ok(next);
      known = next;
    }
    assert.deepEqual(known, whole);
  }
});
