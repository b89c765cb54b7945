// The same content as the picture, as a tree for keyboard and screen reader: hosts, their networks and ports, their containers.
import type { Graph, Node } from "./graph";

export interface TreeHooks {
  choose(id: string, open: boolean): void;
  label(node: Node): string;
  iconOf(node: Node): string;
}

export class Tree {
  private readonly open = new Set<string>();
  private readonly closed = new Set<string>();
  private current: string | null = null;
  private chosen: string | null = null;
  private graph: Graph | null = null;
  private shown: Set<string> | null = null;
  private said = "";

  constructor(
    private readonly root: HTMLElement,
    private readonly hooks: TreeHooks,
  ) {
    root.addEventListener("keydown", (event) => this.key(event));
    root.addEventListener("click", (event) => this.click(event));
    root.addEventListener("focusin", (event) => {
      const item = (event.target as Element).closest<HTMLElement>("[role=treeitem]");
      if (item?.dataset["id"]) this.current = item.dataset["id"];
    });
  }

  /** Show `graph`; `shown` (null: everything) are the ids that a search left. */
  render(graph: Graph, shown: Set<string> | null): void {
    this.graph = graph;
    this.shown = shown;
    const said = this.signature();
    if (said === this.said) return; // most changes of a large graph lie below what is folded away
    this.said = said;
    const hadFocus = this.root.contains(document.activeElement);
    const fragment = document.createDocumentFragment();
    for (const node of graph.nodes.values()) {
      if (node.parent === null && node.kind === "host" && this.visible(node.id)) fragment.append(this.item(node, 1));
    }
    this.root.replaceChildren(fragment);
    this.rove(hadFocus);
  }

  select(id: string | null, show: boolean): void {
    this.chosen = id;
    if (id !== null && show && this.graph) {
      for (let up = this.graph.nodes.get(id)?.parent ?? null; up; up = this.graph.nodes.get(up)?.parent ?? null) {
        this.open.add(up);
        this.closed.delete(up);
      }
      this.current = id;
      this.render(this.graph, this.shown);
      this.element(id)?.scrollIntoView({ block: "nearest" });
      return;
    }
    for (const item of this.root.querySelectorAll("[role=treeitem]")) {
      item.setAttribute("aria-selected", String((item as HTMLElement).dataset["id"] === id));
    }
  }

  /** Everything that the list would show, as one text. */
  private signature(): string {
    const parts: string[] = [String(this.chosen), String(this.current)];
    const visit = (node: Node): void => {
      const children = (this.graph?.children.get(node.id) ?? []).filter((id) => this.visible(id));
      parts.push(node.id, this.hooks.label(node), String(children.length));
      if (!children.length || !this.isOpen(node)) return;
      parts.push("(");
      for (const id of children) visit(this.graph!.nodes.get(id)!);
      parts.push(")");
    };
    for (const node of this.graph?.nodes.values() ?? []) {
      if (node.parent === null && node.kind === "host" && this.visible(node.id)) visit(node);
    }
    return parts.join("\n");
  }

  private visible(id: string): boolean {
    return this.shown === null || this.shown.has(id);
  }

  private isOpen(node: Node): boolean {
    if (this.closed.has(node.id)) return false;
    return node.kind === "host" || this.open.has(node.id) || this.shown !== null;
  }

  private item(node: Node, level: number): HTMLElement {
    const children = (this.graph?.children.get(node.id) ?? []).filter((id) => this.visible(id));
    const item = document.createElement("li");
    item.setAttribute("role", "treeitem");
    item.setAttribute("aria-level", String(level));
    item.setAttribute("aria-selected", String(this.chosen === node.id));
    item.setAttribute("aria-label", this.hooks.label(node));
    item.dataset["id"] = node.id;
    item.tabIndex = -1;
    const row = document.createElement("div");
    row.className = "tree-row";
    const toggle = document.createElement("span");
    toggle.className = "tree-toggle";
    toggle.setAttribute("aria-hidden", "true");
    if (children.length) toggle.dataset["toggle"] = "";
    row.append(toggle, icon(this.hooks.iconOf(node), node.kind), text(node.name, "tree-name"));
    if (node.kind === "container") row.append(text(node.state, `dot dot-${node.state}`));
    row.append(text(node.kind === "network" ? `${children.length}` : node.detail, "tree-detail"));
    item.append(row);
    if (!children.length) return item;
    const open = this.isOpen(node);
    item.setAttribute("aria-expanded", String(open));
    if (!open) return item;
    const group = document.createElement("ul");
    group.setAttribute("role", "group");
    for (const id of children) {
      const child = this.graph?.nodes.get(id);
      if (child) group.append(this.item(child, level + 1));
    }
    item.append(group);
    return item;
  }

  private items(): HTMLElement[] {
    return [...this.root.querySelectorAll<HTMLElement>("[role=treeitem]")];
  }

  private element(id: string): HTMLElement | null {
    return this.root.querySelector<HTMLElement>(`[role=treeitem][data-id="${CSS.escape(id)}"]`);
  }

  /** One item alone is a tab stop. */
  private rove(focus: boolean): void {
    const item = (this.current !== null ? this.element(this.current) : null) ?? this.items()[0];
    if (!item) return;
    item.tabIndex = 0;
    if (focus) item.focus({ preventScroll: true });
  }

  private go(item: HTMLElement | undefined | null): void {
    if (!item) return;
    for (const other of this.root.querySelectorAll<HTMLElement>("[tabindex='0']")) other.tabIndex = -1;
    item.tabIndex = 0;
    item.focus();
  }

  private toggle(id: string, open: boolean): void {
    if (!this.graph) return;
    if (open) {
      this.open.add(id);
      this.closed.delete(id);
    } else {
      this.open.delete(id);
      this.closed.add(id);
    }
    this.current = id;
    this.render(this.graph, this.shown);
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
        if (expanded === "false") {
          this.toggle(id, true);
          this.element(id)?.focus();
        } else if (expanded === "true") this.go(all[at + 1]);
      },
      ArrowLeft: () => {
        if (expanded === "true") {
          this.toggle(id, false);
          this.element(id)?.focus();
        } else this.go(item.parentElement?.closest<HTMLElement>("[role=treeitem]"));
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

function text(content: string, className: string): HTMLElement {
  const span = document.createElement("span");
  span.className = className;
  span.textContent = content;
  return span;
}

export function icon(name: string, kind = ""): SVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", `icon icon-sm kind-${kind}`);
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${document.body.dataset["icons"] ?? ""}#${name}`);
  svg.append(use);
  return svg;
}
