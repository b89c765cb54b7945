// What this page knows of the feed. Modules of one page share it (the bundler splits it into a part of its own).
import { NOTHING, reduce, type Change, type Changes, type Known, type Snapshot } from "./reducer";

/** null stands for "anything may have changed" (a new snapshot). */
type Listener = (changes: Change[] | null) => void;

let current: Known = NOTHING;
let started = false;
const listeners: Listener[] = [];

/** Pages that draw from the state carry it in a data block; the others know only where they stand. */
function start(): void {
  started = true;
  const block = document.getElementById("snapshot");
  if (block?.textContent) {
    const { epoch, n, state } = JSON.parse(block.textContent) as Known;
    current = { epoch, n, state };
  } else {
    const { epoch = "", n = "0" } = document.body.dataset;
    current = { epoch, n: Number(n), state: {} };
  }
}

export function known(): Known {
  if (!started) start();
  return current;
}

/** Whether the message followed; if not, something in between is missing. */
export function take(message: Snapshot | Changes): boolean {
  const before = known();
  const next = reduce(before, message, true); // nobody else holds the state
  if (next === null) return false;
  if (next === before) return true;
  current = next;
  const news = message.type === "snapshot" ? null : message.events.filter((change) => change.n > before.n);
  for (const listener of listeners) listener(news);
  return true;
}

/** Which hosts do not answer: no event tells of that, for nobody is there to tell it. */
export function silent(names: readonly string[]): void {
  const hosts = known().state["host"] ?? {};
  const changes: Change[] = [];
  for (const [id, host] of Object.entries(hosts)) {
    const alive = !names.includes(id);
    if (host["alive"] === alive) continue;
    hosts[id] = { ...host, alive };
    changes.push({ n: current.n, op: "put", kind: "host", id, data: hosts[id] });
  }
  if (changes.length) for (const listener of listeners) listener(changes);
}

export function onFeed(listener: Listener): void {
  listeners.push(listener);
}
