// The topology page: a canvas with everything on it, a tree and a table with the same, and a panel for what is chosen.
import type { Change, State } from "./live/reducer";
import { known, onFeed } from "./live/store";
import * as live from "./live/traffic";
import { hostOf, mayBeConnected, mayJoin, of, type Deeds } from "./topology/actions";
import { Announcer } from "./topology/announce";
import { fillChoices, readView, readWishes, writeView, type Chosen } from "./topology/address";
import { title } from "./topology/draw";
import { download, type Format } from "./topology/exports";
import { showFlows } from "./topology/facts";
import { graph, isRoom, labelKeys, neighbours, only, patch, withRooms, type ContainerData, type Graph, type Node, type Wishes } from "./topology/graph";
import { hands } from "./topology/hands";
import { layout, NOWHERE } from "./topology/layout";
import { grabs, Places } from "./topology/moves";
import { iconName, panel } from "./topology/panel";
import { signs, withGone } from "./topology/past";
import { showCompared, showRulesThen } from "./topology/compared";
import { Timeline, type Shown } from "./topology/timeline";
import { shownAs } from "./topology/rooms";
import { found } from "./topology/search";
import { Stage } from "./topology/stage";
import { Table } from "./topology/table";
import { label, summary } from "./topology/told";
import { Tracing } from "./topology/tracing";
import { flows } from "./topology/traffic";
import { Tree } from "./topology/tree";
import { words } from "./words";

const LONGEST_PAUSE_MS = 1000;
const TELL_AFTER_MS = 150;

interface Page {
  canvas: HTMLCanvasElement;
  side: HTMLElement;
  tree: HTMLElement;
  tools: HTMLFormElement;
  summary: HTMLElement;
  table: HTMLElement;
  details: HTMLDetailsElement;
  whole: HTMLElement;
  changes: HTMLElement;
}

class Topology {
  private graph: Graph;
  private readonly stage: Stage;
  private readonly tree: Tree;
  private readonly table: Table;
  private readonly words = words();
  private readonly places: Places;
  private readonly chosen: Chosen;
  private readonly deeds: Deeds;
  private samples: live.Samples = {};
  private shown: Set<string> | null = null;
  private moment: Shown = { then: null, compared: null, before: null };
  private wished: Wishes | null = null;
  /** The first picture is on the screen. */
  private seen = false;
  private dirty = false;
  private pause = 0;
  private telling = 0;
  private toTell = TELL_AFTER_MS;
  private readonly tracing: Tracing;
  private readonly announcer: Announcer;

  constructor(private readonly page: Page) {
    const { canvas, side, tools } = page;
    this.places = new Places(canvas.dataset["places"] ?? "");
    this.chosen = readView(tools, this.words);
    this.deeds = {
      choose: (id) => this.choose(id, true),
      fold: (id) => this.fold(id),
      folded: (id) => this.chosen.collapsed.has(id),
      focus: (id) => this.focus(id),
      hide: (id) => this.hide(id),
      trace: (from) => this.tracing.begin(from),
    };
    this.tracing = new Tracing(canvas, side, this.words);
    this.announcer = new Announcer(this.words, (id) => this.graph.nodes.get(shownAs(this.graph, id)[0] ?? ""));
    this.tree = new Tree(page.tree, {
      choose: (id, open) => (open && !this.tracing.active ? this.openPage(id) : this.choose(id, false)),
      label: (node) => label(node, this.words),
      iconOf: iconName,
      nameOf: (node) => title(node, this.words),
    });
    this.graph = this.filtered();
    const scene = { graph: this.graph, layout: NOWHERE, bright: null, selected: null, hovered: null, words: this.words, flows: new Map(), signs: new Map() };
    this.stage = new Stage(canvas, scene, (x, y) => this.grabbed(x, y), () => this.arrange());
    this.table = new Table(page.table, page.details, this.words, { container: side.dataset["containerUrl"] ?? "", network: side.dataset["networkUrl"] ?? "" }, () => ({
      graph: this.graph,
      shown: this.shown,
      flows: this.stage.scene.flows,
    }));
    this.listen();
    this.rebuilt();
    this.stage.resize();
    performance.mark("topology:painted");
    onScreen(() => {
      this.seen = true;
      this.tree.render(this.graph, this.shown); // the picture first
      fillChoices(tools, labelKeys(known().state), this.words);
    });
    if (!this.chosen.at) live.watch((samples) => this.flow(samples));
    new Timeline(page.whole, this.words, this.chosen, (shown) => this.travel(shown), () => writeView(tools, this.chosen));
  }

  /** Of the moment that is shown; what went since the one that it is compared with is in it too. */
  private state(): State {
    const { then, before } = this.moment;
    const state = then?.state ?? known().state;
    return before ? withGone(state, before.state) : state;
  }

  /** Show another moment. What was of now alone (traffic, what can be done) goes with it. */
  private travel(shown: Shown): void {
    const wasPast = this.moment.then !== null;
    this.moment = shown;
    const past = shown.then !== null;
    this.page.whole.classList.toggle("past", past);
    this.page.canvas.dataset["at"] = shown.then?.at ?? "";
    if (past && !wasPast) {
      live.unwatch();
      this.samples = {};
    } else if (!past && wasPast) live.watch((samples) => this.flow(samples));
    const operation = this.page.side.dataset["operationUrl"] ?? "";
    showCompared(this.page.changes, shown.compared, this.words, { operation }, (id) => this.choose(id, true));
    this.rebuild();
    this.stage.scene.signs = signs(shown.compared, this.graph);
    this.stage.settle();
  }

  /** What the tools ask for. Read once a change of them: a form is slow to ask a hundred times a second. */
  private wishes(): Wishes {
    return (this.wished ??= readWishes(this.page.tools, this.chosen));
  }

  /** The tools, or what is collapsed or focused, changed. */
  private asked(): void {
    writeView(this.page.tools, this.chosen);
    this.wished = null;
    this.rebuild();
  }

  private rebuild(): void {
    this.graph = this.filtered();
    this.rebuilt();
  }

  /** With what matches alone, if that is wanted. */
  private filtered(): Graph {
    const whole = graph(this.state(), this.wishes());
    const matching = this.narrows ? found(whole, this.asks()) : null;
    return matching ? only(whole, matching) : whole;
  }

  private asks(): string {
    return this.page.tools.querySelector<HTMLInputElement>("[name=q]")?.value ?? "";
  }

  /** Whether only what matches is to be seen: then a change of it may bring or take something. */
  private get narrows(): boolean {
    return this.page.tools.querySelector<HTMLInputElement>("[name=only]")?.checked ?? false;
  }

  private rebuilt(): void {
    this.dirty = false;
    const { scene } = this.stage;
    if (scene.selected && !this.graph.nodes.has(scene.selected)) scene.selected = null;
    scene.flows = flows(this.graph, this.samples);
    this.inform(); // what changes the page comes before what asks for its sizes, so that it is laid out once
    this.summarize();
    this.arrange();
    this.search();
  }

  /** Where everything stands, after something came, went or was moved. */
  private arrange(): void {
    document.querySelector<HTMLElement>("[data-put-back]")?.toggleAttribute("hidden", this.places.moved.size === 0);
    document.querySelector<HTMLElement>("[data-unfocus]")?.toggleAttribute("hidden", this.chosen.focused === null);
    document.querySelector<HTMLElement>("[data-unhide]")?.toggleAttribute("hidden", this.chosen.hidden.size === 0);
    document.querySelector<HTMLElement>("[data-several]")?.toggleAttribute("hidden", !this.graph.edges.some((edge) => edge.kind === "tunnel"));
    this.stage.scene.graph = this.graph;
    this.stage.scene.layout = layout(this.graph, this.stage.aspect(), this.places.moved);
    this.stage.arranged();
  }

  private inform(): void {
    panel(this.page.side, this.graph, this.graph.nodes.get(this.stage.scene.selected ?? ""), this.words, this.deeds, this.moment.then !== null);
    this.figures();
    if (this.moment.then) showRulesThen(this.page.side, this.moment.then.at, this.graph.nodes.get(this.stage.scene.selected ?? ""), this.words);
  }

  private figures(): void {
    const known = Object.keys(this.samples).length > 0;
    showFlows(this.page.side, known ? (id) => this.stage.scene.flows.get(id) ?? this.stage.scene.flows.get(id.split(">")[0] ?? "") : null, this.words);
  }

  private flow(samples: live.Samples): void {
    this.samples = samples;
    this.stage.scene.flows = flows(this.graph, samples);
    this.page.canvas.dataset["flows"] = String(this.stage.scene.flows.size);
    this.stage.paint();
    this.figures();
    this.table.changed();
  }

  private summarize(): void {
    const text = summary(this.graph, this.words);
    this.page.summary.textContent = text;
    this.page.canvas.setAttribute("aria-label", text);
    this.page.canvas.dataset["nodes"] = String(this.graph.nodes.size);
    this.page.canvas.dataset["n"] = String(known().n);
  }

  private search(): void {
    const shown = found(this.graph, this.asks());
    this.shown = shown;
    const { scene } = this.stage;
    scene.bright = shown ?? (scene.selected ? withRooms(this.graph, neighbours(this.graph, scene.selected)) : null);
    this.stage.paint();
    if (this.seen) this.tree.render(this.graph, shown);
    this.table.changed();
  }

  private choose(object: string | null, show: boolean): void {
    const id = object === null ? null : (shownAs(this.graph, object)[0] ?? object);
    const node = this.graph.nodes.get(id ?? "");
    if (this.tracing.active && this.tracing.end(node, this.graph)) return;
    this.stage.scene.selected = id;
    this.search();
    this.tree.select(id, show);
    this.inform();
    if (node) this.stage.reveal(node.id);
  }

  private openPage(id: string): void {
    this.choose(id, false);
    this.page.side.querySelector<HTMLAnchorElement>("a.btn")?.click();
  }

  /** Fold a room's containers away, or bring them back. */
  private fold(id: string): void {
    if (!this.chosen.collapsed.delete(id)) this.chosen.collapsed.add(id);
    this.asked();
  }

  private hide(id: string): void {
    this.chosen.hidden.add(id);
    this.asked();
  }

  /** Show `id` with what it touches alone; null: everything. */
  private focus(id: string | null): void {
    this.chosen.focused = id;
    this.asked();
    this.stage.fit();
  }

  private grabbed(x: number, y: number): boolean {
    const node = this.graph.nodes.get(this.stage.find(x, y) ?? "");
    const kind = grabs(node, node && this.stage.scene.layout.boxes.get(node.id), y);
    return kind === "room" || (kind === "line" && this.mayConnect(node!));
  }

  private mayConnect(node: Node): boolean {
    return this.moment.then === null && this.page.side.dataset["may"] === "1" && node.kind === "container" && mayBeConnected(node.data as ContainerData);
  }

  private move(id: string, to: [number, number]): void {
    this.places.put(id, to);
    this.stage.moved = true; // the view stays while things are put where they are wanted
    this.arrange();
    this.stage.paint();
  }

  /** Without a mouse: Shift and an arrow move the chosen room. */
  private nudge([dx, dy]: [number, number]): boolean {
    const node = this.graph.nodes.get(this.stage.scene.selected ?? "");
    const box = node && this.stage.scene.layout.boxes.get(node.id);
    const host = node && this.stage.scene.layout.boxes.get(node.parent ?? "");
    if (!box || !host || !isRoom(node)) return false;
    this.move(node.id, [box.x - host.x + dx, box.y - host.y + dy]);
    return true;
  }

  /** Take in what the feed told. A large graph takes time to rebuild, so it gets three times as long for frames in between. */
  private follow(): void {
    const begun = performance.now();
    this.rebuild();
    this.stage.settle();
    this.pause = Math.min(LONGEST_PAUSE_MS, (performance.now() - begun) * 3);
  }

  /** Changes that move nothing, such as of a state, are taken in without building anything anew. */
  private patched(visible: boolean): void {
    this.page.canvas.dataset["n"] = String(known().n);
    if (!visible) return;
    this.stage.paint();
    if (this.telling) return;
    this.telling = window.setTimeout(() => {
      const begun = performance.now();
      this.telling = 0;
      this.search();
      this.inform();
      this.toTell = Math.min(LONGEST_PAUSE_MS, Math.max(TELL_AFTER_MS, (performance.now() - begun) * 6));
    }, this.toTell);
  }

  private listen(): void {
    const { canvas, tools, side, whole } = this.page;
    const { stage } = this;
    hands(canvas, stage, {
      node: (id) => this.graph.nodes.get(id ?? ""),
      choose: (id) => this.choose(id, true),
      open: (id) => this.openPage(id),
      nudge: (by) => this.nudge(by),
      move: (id, to) => this.move(id, to),
      mayConnect: (node) => this.mayConnect(node),
      mayJoin: (node, room) => mayJoin(node, this.graph.nodes.get(room)),
      connect: (container, network) => {
        const node = this.graph.nodes.get(container)!;
        location.href = of(side.dataset["connectUrl"], container, hostOf(this.graph, node), { network: this.graph.nodes.get(network)?.name ?? "" });
      },
    });
    tools.addEventListener("input", (event) => {
      const { name } = event.target as HTMLInputElement;
      if (name !== "q" || this.narrows) this.asked();
      else {
        writeView(tools, this.chosen);
        this.search();
      }
      if (name === "group") stage.fit();
    });
    tools.addEventListener("submit", (event) => event.preventDefault());
    whole.addEventListener("click", (event) => this.pressed(event.target as Element));
    onFeed((changes) => this.news(changes));
  }

  private pressed(target: Element): void {
    const format = target.closest<HTMLElement>("[data-export]")?.dataset["export"] as Format | undefined;
    if (format) void download(format, this.stage.scene, this.stage.painter.colours);
    if (target.closest("[data-put-back]")) {
      this.places.forget();
      this.arrange();
      this.stage.paint();
    }
    if (target.closest("[data-unfocus]")) this.focus(null);
    if (target.closest("[data-unhide]")) {
      this.chosen.hidden.clear();
      this.asked();
    }
    const zoomed = target.closest<HTMLElement>("[data-zoom]")?.dataset["zoom"];
    if (zoomed === "in") this.stage.closer();
    else if (zoomed === "out") this.stage.farther();
    else if (zoomed === "fit") {
      this.stage.moved = false;
      this.stage.fit();
    }
  }

  private news(changes: Change[] | null): void {
    if (this.moment.then) {
      this.page.canvas.dataset["n"] = String(known().n);
      return; // the past does not change
    }
    if (changes) this.announcer.news(changes);
    const wishes = this.wishes();
    if (changes !== null && !this.narrows && changes.every((change) => patch(this.graph, change, wishes))) {
      this.patched(changes.some((change) => change.kind === "container"));
      return;
    }
    if (this.dirty) return;
    this.dirty = true;
    window.setTimeout(() => requestAnimationFrame(() => this.follow()), this.pause);
  }

  standing(): ReturnType<Stage["standing"]> {
    return this.stage.standing();
  }
}

/** Once a frame that holds what was drawn by now is on the screen. */
function onScreen(then: () => void): void {
  requestAnimationFrame(() => requestAnimationFrame(() => window.setTimeout(then, 0)));
}

performance.mark("topology:begun");
const find = <T extends Element>(selector: string): T => document.querySelector<T>(selector)!;
if (document.querySelector("canvas.map")) {
  const page: Page = {
    canvas: find("canvas.map"),
    side: find("#panel"),
    tree: find("#tree"),
    tools: find("form.map-tools"),
    summary: find("#map-summary"),
    table: find("#table"),
    details: find("#as-table"),
    whole: find(".topology"),
    changes: find("#changes"),
  };
  Object.assign(window, { cnmTopology: new Topology(page) });
}
