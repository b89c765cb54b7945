// What changed, told to a screen reader: by name where that is few, else how much.
import type { Change } from "../live/reducer";
import { fill, say } from "../words";
import type { Words } from "./elements";

const SAID_AT_ONCE = 3;

/** What was known of an object before the change. */
export interface Before {
  name: string;
  state: string;
}

export class Announcer {
  /** What has not been told yet, for a reader is told a few times a minute: one clause an object, of its last state. */
  private readonly untold = new Map<string, string>();

  constructor(
    private readonly words: Words,
    private readonly before: (id: string) => Before | undefined,
    private readonly tell: typeof say = say,
  ) {}

  news(changes: readonly Change[]): void {
    const size = this.untold.size;
    let changed = false;
    for (const change of changes) {
      const clause = this.clause(change);
      if (clause === null) continue;
      this.untold.delete(change.id);
      this.untold.set(change.id, clause);
      changed = true;
    }
    if (!changed && size === this.untold.size) return;
    const text = this.untold.size <= SAID_AT_ONCE ? [...this.untold.values()].join(". ") : fill(this.words["changed"] ?? "", { count: this.untold.size });
    this.tell(text, () => this.untold.clear());
  }

  /** Null: nothing to be told. A network's row is written with each endpoint of it, which is told by the container. */
  private clause(change: Change): string | null {
    if (change.kind !== "container" && change.kind !== "network") return null;
    const before = this.before(change.id);
    const name = String(change.data?.["name"] ?? before?.name ?? change.id);
    if (change.op === "delete") return (this.words["saidGone"] ?? "").replace("{name}", name);
    const state = String(change.data?.["state"] ?? change.data?.["status"] ?? "");
    if (change.kind === "network" && before?.state === state) return null;
    return `${name}: ${this.words[`state.${state}`] ?? state}`;
  }
}
