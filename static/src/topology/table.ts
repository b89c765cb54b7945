// The picture as two tables: networks, and what is on them. Filled while they are open, with what the search left.
import { fill } from "../words";
import { title } from "./draw";
import { hostOf, of } from "./actions";
import { element, link, mono, type Words } from "./elements";
import { binding, isGuest, type ContainerData, type Graph, type NetworkData, type Node } from "./graph";
import { members, networkOf } from "./rooms";
import { rate, type Flows } from "./traffic";

const MOST_ROWS = 300;
const EVERY_MS = 1000;

export class Table {
  private timer = 0;
  private filledAt = 0;

  constructor(
    private readonly place: HTMLElement,
    private readonly details: HTMLDetailsElement,
    private readonly words: Words,
    private readonly hrefs: { container: string; network: string },
    private readonly now: () => { graph: Graph; shown: Set<string> | null; flows: Flows },
  ) {
    details.addEventListener("toggle", () => this.changed());
  }

  /** Something that it may show changed. Filled at most once a second. */
  changed(): void {
    if (!this.details.open || this.timer) return;
    this.timer = window.setTimeout(() => {
      this.timer = 0;
      this.filledAt = performance.now();
      this.fill();
    }, Math.max(0, this.filledAt + EVERY_MS - performance.now()));
  }

  private fill(): void {
    const { graph, shown, flows } = this.now();
    const wanted = (node: Node): boolean => shown === null || shown.has(node.id);
    const nodes = [...graph.nodes.values()].filter(wanted);
    const rooms = nodes.filter((node) => node.kind === "network" || node.kind === "foreign");
    const guests = nodes.filter(isGuest);
    const focused = document.activeElement instanceof HTMLElement && this.place.contains(document.activeElement) ? document.activeElement.textContent : null;
    this.place.replaceChildren(
      this.table(this.words["networksHead"]!, ["network", "driver", "subnet", "containers", "traffic"], rooms, (node) => this.network(node, graph, flows)),
      this.table(this.words["containersHead"]!, ["container", "state", "endpoint", "port", "link", "traffic"], guests, (node) =>
        node.kind === "container" ? this.container(node, graph, flows) : this.stranger(node, graph, flows),
      ),
    );
    if (focused) [...this.place.querySelectorAll("a")].find((link) => link.textContent === focused)?.focus();
  }

  private table(caption: string, heads: string[], nodes: Node[], cells: (node: Node) => (string | HTMLElement)[]): HTMLElement {
    const wrap = element("div", "", "table-wrap");
    wrap.setAttribute("role", "group");
    wrap.setAttribute("aria-label", caption);
    wrap.tabIndex = 0;
    const table = element("table", "", "table");
    const title = element("caption", nodes.length > MOST_ROWS ? fill(this.words["someRows"] ?? "", { count: MOST_ROWS, total: nodes.length, what: caption }) : caption);
    const head = element("tr", "");
    for (const name of heads) {
      const cell = element("th", this.words[name] ?? name);
      cell.setAttribute("scope", "col");
      head.append(cell);
    }
    const top = element("thead", "");
    top.append(head);
    const body = element("tbody", "");
    for (const node of nodes.slice(0, MOST_ROWS)) body.append(row(node, cells(node)));
    table.append(title, top, body);
    wrap.append(table);
    return wrap;
  }

  private network(node: Node, graph: Graph, flows: Flows): (string | HTMLElement)[] {
    const count = members(graph, node.id);
    if (node.kind === "foreign") return [title(node, this.words), this.program(node), node.detail, String(count), this.flow(node.id, flows)];
    const data = node.data as NetworkData;
    return [link(node.name, of(this.hrefs.network, networkOf(node), hostOf(graph, node)), ""), data.driver, node.detail, String(count), this.flow(node.id, flows)];
  }

  private container(node: Node, graph: Graph, flows: Flows): (string | HTMLElement)[] {
    const data = node.data as ContainerData;
    return [
      link(node.name, of(this.hrefs.container, node.id, hostOf(graph, node)), ""),
      this.words[`state.${data.state}`] ?? data.state,
      lines(data.endpoints.map((item) => `${item.network.name} ${[item.interface, item.ipv4, item.ipv6, item.mac].filter(Boolean).join(" ")}`)),
      lines(data.ports.map((item) => `${binding(item)} → ${item.container_port}/${item.protocol} ${this.flow(`port:${item.id}`, flows, "")}`)),
      lines(data.links.map((item) => `${item.source.name} (${item.alias})`)),
      this.flow(node.id, flows),
    ];
  }

  private stranger(node: Node, graph: Graph, flows: Flows): (string | HTMLElement)[] {
    const data = node.data as { endpoints: { interface: string; bridge: string; device: string; addresses: string[] }[] };
    const ways = data.endpoints.map((item) => [item.bridge || title(graph.nodes.get(node.parent ?? "") ?? node, this.words), item.interface, ...item.addresses, item.device].filter(Boolean).join(" "));
    return [node.name, this.program(node), lines(ways), "—", "—", this.flow(node.id, flows)];
  }

  private program(node: Node): string {
    const name = String(node.data?.["program"] ?? "");
    return this.words[`program.${name}`] ?? name;
  }

  private flow(id: string, flows: Flows, nothing = "—"): string {
    const flow = flows.get(id);
    return flow ? `↓ ${rate(flow[0])} ↑ ${rate(flow[2])}` : nothing;
  }
}

function row(node: Node, cells: (string | HTMLElement)[]): HTMLElement {
  const line = element("tr", "", node.kind === "foreign" || node.kind === "stranger" ? "quiet" : "");
  cells.forEach((content, number) => {
    const cell = element(number ? "td" : "th", "");
    if (!number) cell.setAttribute("scope", "row");
    cell.append(content);
    line.append(cell);
  });
  return line;
}

function lines(texts: string[]): HTMLElement {
  const cell = element("span", texts.length ? "" : "—");
  texts.forEach((text) => {
    const line = element("div", "");
    line.append(mono(text));
    cell.append(line);
  });
  return cell;
}
