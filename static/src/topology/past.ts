// What the server keeps of the past, asked for by moment; and what a comparison marks in the picture. Pure but for the asking.
import type { Json, State } from "../live/reducer";
import type { Graph } from "./model";
import { shownAs } from "./rooms";
import type { Sign } from "./scene";

export interface Span {
  oldest: string | null;
  now: string;
  points: [at: string, kind: string, op: string][];
}

export interface Cause {
  operation?: string;
  verb?: string;
  by?: string;
  at?: string;
  writer?: string;
}

export interface Change {
  kind: string;
  id: string;
  name: string;
  sign: "+" | "-" | "~";
  fields: { name: string; before: string; after: string }[];
  causes: Cause[];
}

export interface PastRule {
  /** In a comparison. */
  host?: string;
  flavour: string;
  family: number;
  table: string;
  chain: string;
  text: string;
  tag: string;
}

export interface Comparison {
  since: string;
  at: string;
  changes: Change[];
  left_out: number;
  rules: { added: PastRule[]; removed: PastRule[]; left_out: number; writers: string[]; unknown?: string[] } | null;
}

export interface Then {
  at: string;
  n: number;
  state: State;
}

export class Refused extends Error {}

/** Raises Refused with the server's own words. */
export async function ask<T>(what: "" | "/state" | "/rules" | "/changes", given: Record<string, string>): Promise<T> {
  const answer = await fetch(`/api/v1/history${what}?${new URLSearchParams(given)}`);
  const body = (await answer.json().catch(() => ({}))) as Json;
  if (!answer.ok) throw new Refused([body["detail"], body["remedy"]].filter(Boolean).join(" ") || answer.statusText);
  return body as T;
}

/** Node id -> what became of it, for each node that shows the object. */
export function signs(compared: Comparison | null, graph: Graph): Map<string, Sign> {
  const found = new Map<string, Sign>();
  for (const change of compared?.changes ?? []) {
    const sign = change.sign === "-" ? "−" : change.sign;
    if (change.kind === "container" || change.kind === "network") for (const id of shownAs(graph, change.id)) found.set(id, sign);
    else if (change.kind === "host") found.set(`host:${change.id}`, sign);
  }
  return found;
}

/** `after`, and beside it what went since `before`: a comparison shows that too. */
export function withGone(after: State, before: State): State {
  const both: State = { ...after };
  for (const kind of ["network", "container"]) both[kind] = { ...before[kind], ...after[kind] };
  return both;
}

/** The next point of time before (-1) or after (1) `at` at which something happened; null: none. Points are sorted. */
export function step(points: Span["points"], at: number, direction: 1 | -1): number | null {
  const times = points.map(([moment]) => Date.parse(moment));
  const found = direction > 0 ? times.find((time) => time > at) : times.reverse().find((time) => time < at);
  return found ?? null;
}

/** How many things happened in each of `count` equal parts from `from` to `to`. */
export function histogram(points: Span["points"], from: number, to: number, count: number): number[] {
  const parts = new Array<number>(count).fill(0);
  for (const [at] of points) {
    const part = Math.floor(((Date.parse(at) - from) / (to - from || 1)) * count);
    if (part >= 0 && part < count) parts[part] = (parts[part] ?? 0) + 1;
  }
  return parts;
}
