// The topology page: a canvas with everything on it, a tree with the same, and a panel for what is chosen.
import { quadtree, type Quadtree } from "d3-quadtree";
import { select } from "d3-selection";
import { zoom, zoomIdentity, type D3ZoomEvent, type ZoomBehavior, type ZoomTransform } from "d3-zoom";
import { known, onFeed } from "./live/store";
import { Painter, type Scene } from "./topology/draw";
import { graph, neighbours, type Graph, type Node } from "./topology/graph";
import { layout, TALL, WIDE, type Box, type Layout } from "./topology/layout";
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
const MARGIN = 40;

class Topology {
  private graph: Graph;
  private layout: Layout;
  private spots: Quadtree<Spot>;
  private scene: Scene;
  private transform: ZoomTransform = zoomIdentity;
  private readonly painter: Painter;
  private readonly zoomer: ZoomBehavior<HTMLCanvasElement, unknown>;
  private readonly tree: Tree;
  private readonly words: Record<string, string>;
  private frame = 0;
  private dirty = false;
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
    this.painter = new Painter(canvas, palette());
    this.tree = new Tree(treeRoot, {
      choose: (id, open) => (open ? this.openPage(id) : this.choose(id, false)),
      label: (node) => this.label(node),
      iconOf: iconName,
    });
    this.graph = graph(known().state, this.wishes());
    this.layout = layout(this.graph, this.aspect());
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
      .on("zoom", (event: D3ZoomEvent<HTMLCanvasElement, unknown>) => {
        this.transform = event.transform;
        if (event.sourceEvent) this.moved = true; // a person chose this view: it stays
        this.paint();
      });
    select(canvas).call(this.zoomer).on("dblclick.zoom", null);
    this.listen();
    this.rebuild();
    this.resize();
  }

  private wishes(): { emptyPredefined: boolean; stopped: boolean } {
    const data = new FormData(this.tools);
    return { emptyPredefined: data.has("empty"), stopped: data.has("stopped") };
  }

  /** Two shapes only, so that a window that grows a little moves nothing. */
  private aspect(): number {
    return this.canvas.clientWidth < this.canvas.clientHeight ? TALL : WIDE;
  }

  private rebuild(): void {
    this.dirty = false;
    this.graph = graph(known().state, this.wishes());
    this.layout = layout(this.graph, this.aspect());
    this.spots = quadtree<Spot>(
      [...this.layout.boxes].filter(([id]) => !["host", "network"].includes(this.graph.nodes.get(id)?.kind ?? "host")).map(([id, box]) => ({
        id,
        x: box.x + box.width / 2,
        y: box.y + box.height / 2,
      })),
      (spot) => spot.x,
      (spot) => spot.y,
    );
    if (this.scene.selected && !this.graph.nodes.has(this.scene.selected)) this.scene.selected = null;
    this.scene = { ...this.scene, graph: this.graph, layout: this.layout };
    this.search();
    panel(this.side, this.graph, this.graph.nodes.get(this.scene.selected ?? ""), this.words, (id) => this.choose(id, true));
    this.summarize();
  }

  private summarize(): void {
    const count = (kind: string): number => [...this.graph.nodes.values()].filter((node) => node.kind === kind).length;
    const text = fill(this.words["summary"] ?? "", { networks: count("network"), containers: count("container"), ports: count("port") });
    this.summary.textContent = text;
    this.canvas.setAttribute("aria-label", text);
    this.canvas.dataset["nodes"] = String(this.graph.nodes.size);
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
    this.tree.render(this.graph, shown);
    this.paint();
  }

  private label(node: Node): string {
    const state = node.state ? this.words[`state.${node.state}`] ?? node.state : "";
    return [this.words[`kind.${node.kind}`] ?? node.kind, node.name, state, node.detail].filter(Boolean).join(", ");
  }

  private choose(id: string | null, show: boolean): void {
    this.scene.selected = id;
    this.search();
    this.tree.select(id, show);
    const node = this.graph.nodes.get(id ?? "");
    panel(this.side, this.graph, node, this.words, (other) => this.choose(other, true));
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
    const [x, y] = this.transform.invert([event.offsetX, event.offsetY]);
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
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.painter.paint(this.scene, this.transform);
    });
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
    this.painter.paint(this.scene, this.transform);
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
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.tools.addEventListener("input", (event) => {
      if ((event.target as HTMLInputElement).name === "q") this.search();
      else this.rebuild();
    });
    this.tools.addEventListener("submit", (event) => event.preventDefault());
    document.querySelector(".topology")?.addEventListener("click", (event) => {
      const action = (event.target as Element).closest<HTMLElement>("[data-zoom]")?.dataset["zoom"];
      if (action === "in") this.zoomer.scaleBy(select(this.canvas), 1.3);
      else if (action === "out") this.zoomer.scaleBy(select(this.canvas), 1 / 1.3);
      else if (action === "fit") {
        this.moved = false;
        this.fit();
      }
    });
    onFeed(() => {
      if (this.dirty) return;
      this.dirty = true;
      requestAnimationFrame(() => {
        this.rebuild();
        if (!this.moved) this.fit();
        say(this.summary.textContent ?? "");
      });
    });
  }

  private key(event: KeyboardEvent): void {
    const canvas = select(this.canvas);
    const far = 60 / this.transform.k;
    const keys: Record<string, () => void> = {
      ArrowLeft: () => this.zoomer.translateBy(canvas, far, 0),
      ArrowRight: () => this.zoomer.translateBy(canvas, -far, 0),
      ArrowUp: () => this.zoomer.translateBy(canvas, 0, far),
      ArrowDown: () => this.zoomer.translateBy(canvas, 0, -far),
      "+": () => this.zoomer.scaleBy(canvas, 1.3),
      "-": () => this.zoomer.scaleBy(canvas, 1 / 1.3),
      "0": () => this.fit(),
      Escape: () => this.choose(null, false),
    };
    const act = keys[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  }
}

const canvas = document.querySelector<HTMLCanvasElement>("canvas.map");
const side = document.getElementById("panel");
const tree = document.getElementById("tree");
const tools = document.querySelector<HTMLFormElement>("form.map-tools");
const summary = document.getElementById("map-summary");
if (canvas && side && tree && tools && summary) new Topology(canvas, side, tree, tools, summary);
