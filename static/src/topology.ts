// The topology page: a canvas with everything on it, a tree with the same, and a panel for what is chosen.
import { quadtree, type Quadtree } from "d3-quadtree";
import { select } from "d3-selection";
import { zoom, zoomIdentity, type D3ZoomEvent, type ZoomBehavior, type ZoomTransform } from "d3-zoom";
import { known, onFeed } from "./live/store";
import { readView, writeView, type View } from "./topology/address";
import { Painter, type Scene } from "./topology/draw";
import { download, type Format } from "./topology/exports";
import { Frames } from "./topology/frames";
import { graph, neighbours, patch, type Graph, type Node, type Wishes } from "./topology/graph";
import { keys } from "./topology/keys";
import { layout, TALL, WIDE, type Box, type Layout } from "./topology/layout";
import { grabs, install, Places } from "./topology/moves";
import { palette } from "./topology/palette";
import { iconName, panel } from "./topology/panel";
import { Tree } from "./topology/tree";
import { fill, say, words } from "./words";

interface Spot {
  id: string;
  x: number;
  y: number;
}

const LEAST_ZOOM = 0.02;
const MOST_ZOOM = 3;
const MARGIN = 24;
const LONGEST_PAUSE_MS = 500;
const TELL_AFTER_MS = 150;

class Topology {
  private graph: Graph;
  private layout: Layout;
  private spots: Quadtree<Spot>;
  private scene: Scene;
  private transform: ZoomTransform = zoomIdentity;
  private readonly painter: Painter;
  private readonly frames: Frames;
  private readonly zoomer: ZoomBehavior<HTMLCanvasElement, unknown>;
  private readonly tree: Tree;
  private readonly words: Record<string, string>;
  private dirty = false;
  private shown = false;
  private pause = 0;
  private telling = 0;
  private toTell = TELL_AFTER_MS;
  private readonly places: Places;
  private readonly view: View;
  private fitted = false;
  private moved = false;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly side: HTMLElement,
    treeRoot: HTMLElement,
    private readonly tools: HTMLFormElement,
    private readonly summary: HTMLElement,
  ) {
    this.words = words();
    this.places = new Places(canvas.dataset["places"] ?? "");
    this.view = readView(tools);
    this.painter = new Painter(canvas, palette());
    this.frames = new Frames(canvas, this.painter, () => [this.scene, this.transform]);
    this.tree = new Tree(treeRoot, {
      choose: (id, open) => (open ? this.openPage(id) : this.choose(id, false)),
      label: (node) => this.label(node),
      iconOf: iconName,
    });
    this.graph = graph(known().state, this.wishes());
    this.layout = layout(this.graph, this.aspect(), this.places.moved);
    this.spots = quadtree<Spot>();
    this.scene = {
      graph: this.graph,
      layout: this.layout,
      bright: null,
      selected: null,
      hovered: null,
      outsideName: this.words["outside"] ?? "",
      words: this.words,
    };
    this.zoomer = zoom<HTMLCanvasElement, unknown>()
      .scaleExtent([LEAST_ZOOM, MOST_ZOOM])
      .filter((event: MouseEvent) => !event.ctrlKey && !event.button && !(event.type === "mousedown" && this.grabbed(event)))
      .on("zoom", (event: D3ZoomEvent<HTMLCanvasElement, unknown>) => {
        this.transform = event.transform;
        if (event.sourceEvent) this.moved = true; // a person chose this view: it stays
        this.frames.moving();
      });
    select(canvas).call(this.zoomer).on("dblclick.zoom", null);
    this.listen();
    this.rebuild();
    this.resize();
    this.shown = true;
    performance.mark("topology:painted");
  }

  /** Take in what the feed told. A large graph takes time to rebuild, so it gets three times as long for frames in between. */
  private follow(): void {
    const begun = performance.now();
    this.rebuild();
    if (!this.moved) this.fit();
    say(this.summary.textContent ?? "");
    this.pause = Math.min(LONGEST_PAUSE_MS, (performance.now() - begun) * 3);
  }

  /** Changes that move nothing, such as of a state, are taken in without building anything anew. */
  private patched(visible: boolean): void {
    this.canvas.dataset["n"] = String(known().n);
    if (!visible) return;
    this.paint();
    if (this.telling) return;
    this.telling = window.setTimeout(() => {
      const begun = performance.now();
      this.telling = 0;
      this.search();
      this.inform();
      this.toTell = Math.min(LONGEST_PAUSE_MS * 2, Math.max(TELL_AFTER_MS, (performance.now() - begun) * 6));
    }, this.toTell);
  }

  private wishes(): Wishes {
    const data = new FormData(this.tools);
    return { emptyPredefined: data.has("empty"), stopped: data.has("stopped"), collapsed: this.view.collapsed, focus: this.view.focused };
  }

  private grabbed(event: MouseEvent): boolean {
    const [x, y] = this.transform.invert([event.offsetX, event.offsetY]);
    const node = this.graph.nodes.get(this.find(x, y) ?? "");
    const kind = grabs(node, node && this.layout.boxes.get(node.id), y);
    return kind === "room" || (kind === "line" && this.mayConnect(node!));
  }

  private mayConnect(node: Node): boolean {
    const mode = String(node.data?.["network_mode"] ?? "");
    return this.side.dataset["may"] === "1" && node.kind === "container" && mode !== "host" && !mode.startsWith("container:");
  }

  /** Fold a network's containers away, or bring them back. */
  private fold(id: string): void {
    if (!this.view.collapsed.delete(id)) this.view.collapsed.add(id);
    writeView(this.tools, this.view);
    this.rebuild();
  }

  /** Show `id` with what it touches alone; null: everything. */
  private focus(id: string | null): void {
    this.view.focused = id;
    writeView(this.tools, this.view);
    this.rebuild();
    this.fit();
  }

  /** Two shapes only, so that a window that grows a little moves nothing. */
  private aspect(): number {
    return this.canvas.clientWidth < this.canvas.clientHeight ? TALL : WIDE;
  }

  private rebuild(): void {
    this.dirty = false;
    this.graph = graph(known().state, this.wishes());
    this.arrange();
    if (this.scene.selected && !this.graph.nodes.has(this.scene.selected)) this.scene.selected = null;
    this.search();
    this.inform();
    this.summarize();
  }

  /** Where everything stands, after something came, went or was moved. */
  private arrange(): void {
    this.layout = layout(this.graph, this.aspect(), this.places.moved);
    this.spots = quadtree<Spot>(
      [...this.layout.boxes].filter(([id]) => !["host", "network"].includes(this.graph.nodes.get(id)?.kind ?? "host")).map(([id, box]) => ({
        id,
        x: box.x + box.width / 2,
        y: box.y + box.height / 2,
      })),
      (spot) => spot.x,
      (spot) => spot.y,
    );
    this.scene = { ...this.scene, graph: this.graph, layout: this.layout };
    document.querySelector<HTMLElement>("[data-put-back]")?.toggleAttribute("hidden", this.places.moved.size === 0);
    document.querySelector<HTMLElement>("[data-unfocus]")?.toggleAttribute("hidden", this.view.focused === null);
  }

  private inform(): void {
    panel(this.side, this.graph, this.graph.nodes.get(this.scene.selected ?? ""), this.words, {
      choose: (id) => this.choose(id, true),
      fold: (id) => this.fold(id),
      folded: (id) => this.view.collapsed.has(id),
      focus: (id) => this.focus(id),
    });
  }

  private summarize(): void {
    const count = (kind: string): number => [...this.graph.nodes.values()].filter((node) => node.kind === kind).length;
    const text = fill(this.words["summary"] ?? "", { networks: count("network"), containers: count("container"), ports: count("port") });
    this.summary.textContent = text;
    this.canvas.setAttribute("aria-label", text);
    this.canvas.dataset["nodes"] = String(this.graph.nodes.size);
    this.canvas.dataset["n"] = String(known().n);
  }

  private search(): void {
    const wanted = String(new FormData(this.tools).get("q") ?? "").trim().toLowerCase();
    let shown: Set<string> | null = null;
    if (wanted) {
      shown = new Set();
      for (const node of this.graph.nodes.values()) {
        if (!node.text.includes(wanted)) continue;
        for (const id of neighbours(this.graph, node.id)) if (node.kind !== "host") shown.add(id);
        shown.add(node.id);
      }
    }
    this.scene.bright = shown ?? (this.scene.selected ? neighbours(this.graph, this.scene.selected) : null);
    this.paint();
    if (this.shown) this.tree.render(this.graph, shown);
    else window.setTimeout(() => this.tree.render(this.graph, shown), 0); // the picture first
  }

  private label(node: Node): string {
    const state = node.state ? this.words[`state.${node.state}`] ?? node.state : "";
    const drift = node.drift ? fill(this.words["drift"] ?? "", { count: node.drift }) : "";
    const folded = node.folded ? fill(this.words["folded"] ?? "", { count: node.folded }) : "";
    return [this.words[`kind.${node.kind}`] ?? node.kind, node.name, state, node.detail, drift, folded].filter(Boolean).join(", ");
  }

  private choose(id: string | null, show: boolean): void {
    this.scene.selected = id;
    this.search();
    this.tree.select(id, show);
    const node = this.graph.nodes.get(id ?? "");
    this.inform();
    if (node) this.reveal(node.id);
    this.paint();
  }

  private openPage(id: string): void {
    this.choose(id, false);
    this.side.querySelector<HTMLAnchorElement>("a.btn")?.click();
  }

  /** Move the picture only where the chosen node is out of sight. */
  private reveal(id: string): void {
    const box = this.layout.boxes.get(id);
    if (!box) return;
    const [x, y] = this.transform.apply([box.x + box.width / 2, box.y + box.height / 2]);
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (x > 20 && y > 20 && x < width - 20 && y < height - 20) return;
    this.zoomer.translateTo(select(this.canvas), box.x + box.width / 2, box.y + box.height / 2);
  }

  private at(event: MouseEvent): string | null {
    return this.find(...this.transform.invert([event.offsetX, event.offsetY]));
  }

  private find(x: number, y: number): string | null {
    const inside = (box: Box | undefined): boolean =>
      !!box && x >= box.x && y >= box.y && x <= box.x + box.width && y <= box.y + box.height;
    const spot = this.spots.find(x, y, 90);
    if (spot && inside(this.layout.boxes.get(spot.id))) return spot.id;
    let found: string | null = null;
    for (const node of this.graph.nodes.values()) {
      if ((node.kind === "host" || node.kind === "network") && inside(this.layout.boxes.get(node.id))) found = node.kind === "network" || !found ? node.id : found;
    }
    return found;
  }

  private paint(): void {
    this.frames.change();
  }

  /** Where each thing stands on the canvas, in its pixels: for tests and benchmarks, which have a mouse and no eyes. */
  standing(): Record<string, { head: [number, number]; middle: [number, number] }> {
    return Object.fromEntries(
      [...this.layout.boxes].map(([id, box]) => [
        id,
        { head: this.transform.apply([box.x + 20, box.y + 14]), middle: this.transform.apply([box.x + box.width / 2, box.y + box.height / 2]) },
      ]),
    );
  }

  fit(): void {
    const { bounds } = this.layout;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height) return;
    const k = Math.min(1.15, (width - 2 * MARGIN) / (bounds.width + 60), (height - 2 * MARGIN) / bounds.height);
    const scale = Math.max(LEAST_ZOOM, k);
    const x = (width - bounds.width * scale) / 2;
    const y = Math.max(MARGIN, (height - bounds.height * scale) / 2);
    this.zoomer.transform(select(this.canvas), zoomIdentity.translate(x, y).scale(scale));
  }

  private resize(): void {
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    if (!this.fitted && width) {
      this.fitted = true;
      this.fit();
    }
    this.frames.paint();
  }

  private listen(): void {
    new ResizeObserver(() => this.resize()).observe(this.canvas);
    new MutationObserver(() => {
      this.painter.colours = palette();
      this.paint();
    }).observe(document.documentElement, { attributes: true, attributeFilter: ["data-bs-theme"] });
    this.canvas.addEventListener("pointermove", (event) => {
      const found = this.at(event);
      if (found === this.scene.hovered) return;
      this.scene.hovered = found;
      this.canvas.classList.toggle("pointing", found !== null);
      this.paint();
    });
    this.canvas.addEventListener("pointerleave", () => {
      this.scene.hovered = null;
      this.paint();
    });
    this.canvas.addEventListener("click", (event) => this.choose(this.at(event), true));
    this.canvas.addEventListener("dblclick", (event) => {
      const found = this.at(event);
      if (found) this.openPage(found);
    });
    const canvas = select(this.canvas);
    keys(this.canvas, {
      pan: (dx, dy) => this.zoomer.translateBy(canvas, dx / this.transform.k, dy / this.transform.k),
      zoom: (factor) => this.zoomer.scaleBy(canvas, factor),
      fit: () => this.fit(),
      leave: () => this.choose(null, false),
      nudge: (by) => this.nudge(by),
    });
    this.tools.addEventListener("input", (event) => {
      writeView(this.tools, this.view);
      if ((event.target as HTMLInputElement).name === "q") this.search();
      else this.rebuild();
    });
    this.tools.addEventListener("submit", (event) => event.preventDefault());
    install(this.canvas, {
      place: (event) => this.transform.invert([event.offsetX, event.offsetY]),
      node: (x, y) => this.graph.nodes.get(this.find(x, y) ?? ""),
      box: (id) => this.layout.boxes.get(id),
      hostOf: (node) => this.layout.boxes.get(node.parent ?? ""),
      mayConnect: (node) => this.mayConnect(node),
      moved: (id, to) => this.move(id, to),
      drawing: (line) => {
        this.scene.drawing = line;
        this.paint();
      },
      connect: (container, network) => {
        const url = (this.side.dataset["connectUrl"] ?? "").replace("OBJECT", encodeURIComponent(container));
        location.href = `${url}?network=${encodeURIComponent(this.graph.nodes.get(network)?.name ?? "")}`;
      },
    });
    document.querySelector(".topology")?.addEventListener("click", (event) => {
      const target = event.target as Element;
      const format = target.closest<HTMLElement>("[data-export]")?.dataset["export"] as Format | undefined;
      if (format) void download(format, this.scene, this.painter.colours);
      if (target.closest("[data-put-back]")) {
        this.places.forget();
        this.arrange();
        this.paint();
      }
      if (target.closest("[data-unfocus]")) this.focus(null);
      const action = (event.target as Element).closest<HTMLElement>("[data-zoom]")?.dataset["zoom"];
      if (action === "in") this.zoomer.scaleBy(select(this.canvas), 1.3);
      else if (action === "out") this.zoomer.scaleBy(select(this.canvas), 1 / 1.3);
      else if (action === "fit") {
        this.moved = false;
        this.fit();
      }
    });
    onFeed((changes) => {
      if (changes !== null && changes.every((change) => patch(this.graph, change, this.wishes()))) {
        this.patched(changes.some((change) => change.kind === "container"));
        return;
      }
      if (this.dirty) return;
      this.dirty = true;
      window.setTimeout(() => requestAnimationFrame(() => this.follow()), this.pause);
    });
  }

  private move(id: string, to: [number, number]): void {
    this.places.put(id, to);
    this.moved = true; // the view stays while things are put where they are wanted
    this.arrange();
    this.paint();
  }

  /** Without a mouse: Shift and an arrow move the chosen network. */
  private nudge([dx, dy]: [number, number]): boolean {
    const node = this.graph.nodes.get(this.scene.selected ?? "");
    const box = node && this.layout.boxes.get(node.id);
    const host = node && this.layout.boxes.get(node.parent ?? "");
    if (!box || !host || node.kind !== "network") return false;
    this.move(node.id, [box.x - host.x + dx, box.y - host.y + dy]);
    return true;
  }
}

performance.mark("topology:begun");
const canvas = document.querySelector<HTMLCanvasElement>("canvas.map");
const side = document.getElementById("panel");
const tree = document.getElementById("tree");
const tools = document.querySelector<HTMLFormElement>("form.map-tools");
const summary = document.getElementById("map-summary");
if (canvas && side && tree && tools && summary) {
  Object.assign(window, { cnmTopology: new Topology(canvas, side, tree, tools, summary) });
}
