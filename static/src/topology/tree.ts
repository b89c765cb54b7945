// The same content as the picture, as a tree for keyboard and screen reader: hosts, their networks and ports, their containers.
import { Branches, type RowHooks, type Wanted } from "./branches";
import type { Graph, Node } from "./graph";

export interface TreeHooks extends RowHooks {
  choose(id: string, open: boolean): void;
}

export class Tree {
  private readonly open = new Set<string>();
  private readonly closed = new Set<string>();
  private readonly branches: Branches;
  private current: string | null = null;
  private chosen: string | null = null;
  private graph: Graph | null = null;
  private shown: Set<string> | null = null;
  private stop: HTMLElement | null = null;
  private hadFocus = false;

  constructor(
    private readonly root: HTMLElement,
    private readonly hooks: TreeHooks,
  ) {
    this.branches = new Branches(root, hooks, (all) => this.rove(all));
    root.addEventListener("keydown", (event) => this.key(event));
    root.addEventListener("click", (event) => this.click(event));
    root.addEventListener("focusin", (event) => {
      const item = (event.target as Element).closest<HTMLElement>("[role=treeitem]");
      if (item?.dataset["id"]) this.current = item.dataset["id"];
    });
  }

  /** Show `graph`, bit by bit; `shown` (null: everything) are the ids that a search left. */
  render(graph: Graph, shown: Set<string> | null): void {
    this.graph = graph;
    this.shown = shown;
    this.hadFocus ||= this.root.contains(document.activeElement);
    this.branches.writeSoon(this.wanted(graph));
  }

  select(id: string | null, show: boolean): void {
    this.chosen = id;
    if (id === null || !show || !this.graph) {
      this.branches.select(id);
      return;
    }
    for (let up = this.graph.nodes.get(id)?.parent ?? null; up; up = this.graph.nodes.get(up)?.parent ?? null) {
      this.open.add(up);
      this.closed.delete(up);
    }
    this.current = id;
    this.write();
    this.branches.element(id)?.scrollIntoView({ block: "nearest" });
  }

  /** Bring the rows up to date at once: a person waits for them. */
  private write(): void {
    if (!this.graph) return;
    this.hadFocus ||= this.root.contains(document.activeElement);
    this.branches.write(this.wanted(this.graph));
  }

  private wanted(graph: Graph): Wanted {
    const { shown } = this;
    return { graph, chosen: this.chosen, visible: (id) => shown === null || shown.has(id), isOpen: (node) => this.isOpen(node) };
  }

  private isOpen(node: Node): boolean {
    if (this.closed.has(node.id)) return false;
    return node.kind === "host" || this.open.has(node.id) || this.shown !== null;
  }

  private items(): HTMLElement[] {
    return [...this.root.querySelectorAll<HTMLElement>("[role=treeitem]")];
  }

  /** One item alone is a tab stop. It takes the focus where an item that went had it. */
  private rove(all: boolean): void {
    const item = (this.current === null ? undefined : this.branches.element(this.current)) ?? this.root.querySelector<HTMLElement>("[role=treeitem]");
    if (!item) return;
    this.settle(item);
    if (this.hadFocus && document.activeElement === document.body) item.focus({ preventScroll: true });
    if (all) this.hadFocus = false;
  }

  private settle(item: HTMLElement): void {
    if (this.stop === item) return;
    if (this.stop) this.stop.tabIndex = -1;
    this.stop = item;
    item.tabIndex = 0;
  }

  private go(item: HTMLElement | undefined | null): void {
    if (!item) return;
    this.settle(item);
    item.focus();
  }

  private toggle(id: string, open: boolean): void {
    const [into, outOf] = open ? [this.open, this.closed] : [this.closed, this.open];
    into.add(id);
    outOf.delete(id);
    this.current = id;
    this.write();
  }

  private click(event: Event): void {
    const target = event.target as Element;
    const item = target.closest<HTMLElement>("[role=treeitem]");
    const id = item?.dataset["id"];
    if (!item || !id) return;
    if (target.closest("[data-toggle]")) this.toggle(id, item.getAttribute("aria-expanded") !== "true");
    else {
      this.current = id;
      this.hooks.choose(id, false);
    }
  }

  private key(event: KeyboardEvent): void {
    const item = (event.target as Element).closest<HTMLElement>("[role=treeitem]");
    const id = item?.dataset["id"];
    if (!item || !id || event.altKey || event.ctrlKey || event.metaKey) return;
    const all = this.items();
    const at = all.indexOf(item);
    const expanded = item.getAttribute("aria-expanded");
    const moves: Record<string, () => void> = {
      ArrowDown: () => this.go(all[at + 1]),
      ArrowUp: () => this.go(all[at - 1]),
      Home: () => this.go(all[0]),
      End: () => this.go(all[all.length - 1]),
      ArrowRight: () => {
        if (expanded === "false") this.toggle(id, true);
        else if (expanded === "true") this.go(all[at + 1]);
      },
      ArrowLeft: () => {
        if (expanded === "true") this.toggle(id, false);
        else this.go(item.parentElement?.closest<HTMLElement>("[role=treeitem]"));
      },
      Enter: () => this.hooks.choose(id, true),
      " ": () => this.hooks.choose(id, false),
    };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    move();
  }
}
