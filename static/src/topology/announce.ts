// What changed, told to a screen reader: by name where that is few.
import type { Change } from "../live/reducer";
import { say } from "../words";
import type { Words } from "./elements";

const SAID_AT_ONCE = 3;

export function announce(changes: Change[], nameOf: (id: string) => string | undefined, words: Words): void {
  const text = sentence(changes, nameOf, words);
  if (text) say(text);
}

/** One clause an object, of its last state; empty where there are too many to listen to. Pure. */
export function sentence(changes: Change[], nameOf: (id: string) => string | undefined, words: Words): string {
  const told = new Map<string, string>();
  for (const change of changes) {
    if (change.kind !== "container" && change.kind !== "network") continue;
    const name = String(change.data?.["name"] ?? nameOf(change.id) ?? change.id);
    const state = String(change.data?.["state"] ?? change.data?.["status"] ?? "");
    told.set(change.id, change.op === "delete" ? (words["saidGone"] ?? "").replace("{name}", name) : `${name}: ${words[`state.${state}`] ?? state}`);
  }
  return told.size <= SAID_AT_ONCE ? [...told.values()].join(". ") : "";
}
