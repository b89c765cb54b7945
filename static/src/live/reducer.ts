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

/** The next state, or null where a change is missing in between: then ask again from `known.n`. */
export function reduce(known: Known, message: Snapshot | Changes): Known | null {
  if (message.type === "snapshot") return { epoch: message.epoch, n: message.n, state: message.state };
  if (message.epoch !== known.epoch) return null;
  let n = known.n;
  const state: State = { ...known.state };
  const own = new Set<string>(); // kinds whose mapping was copied for this message
  for (const change of message.events) {
    if (change.n <= n) continue; // told twice
    if (change.n !== n + 1) return null;
    apply(state, own, change);
    n = change.n;
  }
  return n === known.n ? known : { epoch: known.epoch, n, state };
}

function apply(state: State, own: Set<string>, change: Change): void {
  if (!own.has(change.kind)) {
    state[change.kind] = { ...state[change.kind] };
    own.add(change.kind);
  }
  const objects = state[change.kind]!;
  if (change.op === "put" && change.data !== null) objects[change.id] = change.data;
  else Reflect.deleteProperty(objects, change.id);
}
