// What a picture is drawn from.
import type { Graph } from "./graph";
import type { Layout } from "./layout";
import type { Flows } from "./traffic";

export interface View {
  x: number;
  y: number;
  k: number;
}

/** What became of a node between two moments. */
export type Sign = "+" | "−" | "~";

export interface Scene {
  graph: Graph;
  layout: Layout;
  /** What stays bright; null: everything. */
  bright: Set<string> | null;
  selected: string | null;
  hovered: string | null;
  words: Record<string, string>;
  flows: Flows;
  signs: ReadonlyMap<string, Sign>;
  /** A line that a person draws from a container to where the pointer is, to connect it. */
  drawing?: { from: string; x: number; y: number; to: string | null } | null;
}

export function isBright(scene: Scene, id: string): boolean {
  return scene.bright === null || scene.bright.has(id);
}
