// The rows of the tree, kept in step with the graph: what stands already stays, and only what differs is written. A row that has the
// focus keeps it. Very many rows are written a few milliseconds at a time, so that a person can move the picture meanwhile.
import { icon } from "./elements";
import { isRoom, type Graph, type Node } from "./graph";
import { members } from "./rooms";

export interface RowHooks {
  label(node: Node): string;
  iconOf(node: Node): string;
  nameOf(node: Node): string;
}

/** What the rows are to show. */
export interface Wanted {
  graph: Graph;
  chosen: string | null;
  visible(id: string): boolean;
  isOpen(node: Node): boolean;
}

interface Row {
  item: HTMLElement;
  group: HTMLElement | null;
  /** Of what is written in it: asking the page is dearer, and most rows say what they said. */
  said: string;
  level: number;
  chosen: boolean;
  open: boolean | null;
}

const SLICE_MS = 6;

export class Branches {
  private readonly rows = new Map<string, Row>();
  private timer = 0;

  constructor(
    private readonly root: HTMLElement,
    private readonly hooks: RowHooks,
    /** Some rows were written, or all of them: one is to be the tab stop. */
    private readonly written: (all: boolean) => void,
  ) {}

  element(id: string): HTMLElement | undefined {
    const item = this.rows.get(id)?.item;
    return item?.isConnected ? item : undefined;
  }

  /** Bring every row up to date, now. */
  write(wanted: Wanted): void {
    this.stop();
    for (const step of this.steps(wanted)) void step;
    this.written(true);
  }

  /** Bring them up to date bit by bit; until that is through the tree says that it is busy. */
  writeSoon(wanted: Wanted): void {
    this.stop();
    const steps = this.steps(wanted);
    const work = (): void => {
      const until = performance.now() + SLICE_MS;
      let done = false;
      while (!done && performance.now() < until) done = steps.next().done ?? false;
      this.written(done);
      if (done) this.stop();
      else {
        this.root.setAttribute("aria-busy", "true");
        this.timer = window.setTimeout(work, 0);
      }
    };
    work();
  }

  select(id: string | null): void {
    for (const [key, row] of this.rows) choose(row, key === id);
  }

  private stop(): void {
    window.clearTimeout(this.timer);
    this.root.removeAttribute("aria-busy");
  }

  /** One row at a time. */
  private *steps(wanted: Wanted): Generator<void> {
    const standing = new Set<string>();
    const hosts: string[] = [];
    for (const node of wanted.graph.nodes.values()) if (node.parent === null && node.kind === "host" && wanted.visible(node.id)) hosts.push(node.id);
    yield* this.fill(this.root, hosts, 1, wanted, standing);
    for (const id of this.rows.keys()) if (!standing.has(id)) this.rows.delete(id);
  }

  private *fill(list: HTMLElement, ids: string[], level: number, wanted: Wanted, standing: Set<string>): Generator<void> {
    const kept = new Set(ids);
    for (const child of [...list.children] as HTMLElement[]) if (!kept.has(child.dataset["id"] ?? "")) child.remove();
    let place = list.firstElementChild;
    for (const id of ids) {
      standing.add(id);
      const node = wanted.graph.nodes.get(id)!;
      const below = (wanted.graph.children.get(id) ?? []).filter((child) => wanted.visible(child));
      const open = below.length ? wanted.isOpen(node) : null;
      const row = this.row(node, level, below.length > 0, open, wanted.chosen === id, isRoom(node) ? `${members(wanted.graph, id)}` : node.detail);
      yield;
      if (row.group) yield* this.fill(row.group, below, level + 1, wanted, standing);
      if (row.item === place) place = place.nextElementSibling;
      else list.insertBefore(row.item, place); // with all that it holds: each time something comes into the page, all of it is styled
    }
  }

  /** The row of a node: the one that stands, or a new one. `open` is null where there is nothing to open; `detail` stands at its end. */
  private row(node: Node, level: number, holds: boolean, open: boolean | null, chosen: boolean, detail: string): Row {
    let row = this.rows.get(node.id);
    if (!row) {
      const item = document.createElement("li");
      item.setAttribute("role", "treeitem");
      item.dataset["id"] = node.id;
      item.tabIndex = -1;
      item.setAttribute("aria-selected", "false");
      row = { item, group: null, said: "", level: 0, chosen: false, open: null };
      this.rows.set(node.id, row);
    }
    const { item } = row;
    choose(row, chosen);
    if (row.level !== level) item.setAttribute("aria-level", String((row.level = level)));
    if (row.open !== open) {
      row.open = open;
      if (open === null) item.removeAttribute("aria-expanded");
      else item.setAttribute("aria-expanded", String(open));
    }
    const label = this.hooks.label(node);
    const said = [label, node.state, holds, detail].join("\n");
    if (said !== row.said) {
      row.said = said;
      item.setAttribute("aria-label", label);
      const line = this.line(node, holds, detail);
      const old = item.firstElementChild;
      if (!old) item.append(line);
      else if (!old.isEqualNode(line)) old.replaceWith(line); // a new icon has the whole page styled anew
    }
    if (open && !row.group) {
      row.group = document.createElement("ul");
      row.group.setAttribute("role", "group");
      item.append(row.group);
    } else if (!open && row.group) {
      row.group.remove();
      row.group = null;
    }
    return row;
  }

  private line(node: Node, holds: boolean, detail: string): HTMLElement {
    const line = document.createElement("div");
    line.className = "tree-row";
    const toggle = document.createElement("span");
    toggle.className = "tree-toggle";
    toggle.setAttribute("aria-hidden", "true");
    if (holds) toggle.dataset["toggle"] = "";
    line.append(toggle, icon(this.hooks.iconOf(node), node.kind), text(this.hooks.nameOf(node), "tree-name"));
    if (node.kind === "container") line.append(text(node.state, `dot dot-${node.state}`));
    line.append(text(detail, "tree-detail"));
    return line;
  }
}

function choose(row: Row, chosen: boolean): void {
  if (row.chosen !== chosen) row.item.setAttribute("aria-selected", String((row.chosen = chosen)));
}

function text(content: string, className: string): HTMLElement {
  const span = document.createElement("span");
  span.className = className;
  span.textContent = content;
  return span;
}
