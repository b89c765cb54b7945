// The state of everything as the server tells it: a snapshot, then numbered changes. Pure; proven against shared fixtures.

export type Json = Record<string, unknown>;
export type State = Record<string, Record<string, Json>>;

export interface Change {
  n: number;
  op: "put" | "delete";
  kind: string;
  id: string;
  data: Json | null;
  at?: string;
  actor?: string;
}

export interface Snapshot {
  type: "snapshot";
  epoch: string;
  n: number;
  state: State;
}

export interface Changes {
  type: "events";
  epoch: string;
  events: Change[];
}

/** What is known: `n` is the number of the last change that is in `state`. */
export interface Known {
  epoch: string;
  n: number;
  state: State;
}

export const NOTHING: Known = { epoch: "", n: 0, state: {} };

/**
 * The next state, or null where a change is missing in between: then ask again from `known.n`. With `inPlace` the mappings of `known`
 * are changed instead of copied: with ten thousand objects a copy for each change is what costs.
 */
export function reduce(known: Known, message: Snapshot | Changes, inPlace = false): Known | null {
  if (message.type === "snapshot") return { epoch: message.epoch, n: message.n, state: message.state };
  if (message.epoch !== known.epoch) return null;
  const fresh = message.events.filter((change) => change.n > known.n); // the others were told twice
  if (fresh.some((change, index) => change.n !== known.n + 1 + index)) return null;
  if (!fresh.length) return known;
  const state: State = inPlace ? known.state : copied(known.state, fresh);
  for (const change of fresh) {
    const objects = (state[change.kind] ??= {});
    if (change.op === "put" && change.data !== null) objects[change.id] = change.data;
    else Reflect.deleteProperty(objects, change.id);
  }
  return { epoch: known.epoch, n: known.n + fresh.length, state };
}

/** `state` with mappings of its own for the kinds that change. */
function copied(state: State, changes: Change[]): State {
  const kinds = new Set(changes.map((change) => change.kind));
  return { ...state, ...Object.fromEntries([...kinds].map((kind) => [kind, { ...state[kind] }])) };
}
