// "Trace to …": the next thing that is chosen is where the packet goes; the page of traces says what happens to it.
import { fill, say } from "../words";
import { element, type Words } from "./elements";
import { hostOf, of } from "./actions";
import type { ContainerData, Graph, Node, PortData } from "./graph";
import { isAny } from "./traffic";

export class Tracing {
  private from: Node | null = null;

  constructor(
    private readonly canvas: HTMLElement,
    private readonly panel: HTMLElement,
    private readonly words: Words,
  ) {
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.from) this.leave();
    });
  }

  get active(): boolean {
    return this.from !== null;
  }

  begin(from: Node): void {
    this.from = from;
    this.canvas.classList.add("picking");
    const text = fill(this.words["tracePick"] ?? "", { name: from.name });
    const note = element("p", text, "note");
    note.dataset["tracing"] = "";
    this.panel.append(note);
    say(text);
  }

  /** Whether the page of traces opens for what was chosen. */
  end(to: Node | undefined, graph: Graph): boolean {
    const from = this.from!;
    this.leave();
    const asked = to && question(from, to, graph);
    if (!asked) return false;
    location.href = of(this.panel.dataset["traceUrl"], "", hostOf(graph, from), Object.fromEntries(asked));
    return true;
  }

  private leave(): void {
    this.from = null;
    this.canvas.classList.remove("picking");
    this.panel.querySelector("[data-tracing]")?.remove();
  }
}

/** What is asked of a packet from one container to another (to the first port that it publishes, else a ping), or to where a published
 * port leads; null: no packet goes there. What is on another host is asked for by its address: names are known on their host alone. */
export function question(from: Node, to: Node, graph: Graph): URLSearchParams | null {
  const near = to.data?.["host"] === from.data?.["host"];
  const asked = to.kind === "container" && to.id !== from.id ? ofContainer(from, to, near) : to.kind === "port" ? ofPort(to, graph, near) : null;
  return asked && new URLSearchParams({ from: from.name, ...asked });
}

type Asked = { to: string; port?: string; protocol: string } | null;

function ofContainer(from: Node, to: Node, near: boolean): Asked {
  const data = to.data as ContainerData;
  const [port] = data.ports;
  const way = port ? { port: String(port.container_port), protocol: port.protocol } : { protocol: "icmp" };
  if (near) return { to: to.name, ...way };
  const networks = new Set((from.data as ContainerData).endpoints.map((item) => item.network.id));
  const shared = data.endpoints.find((item) => networks.has(item.network.id));
  return shared ? { to: (shared.ipv4 || shared.ipv6).split("/")[0]!, ...way } : null;
}

function ofPort(to: Node, graph: Graph, near: boolean): Asked {
  const data = to.data as unknown as PortData & { host: string; container: { name: string } };
  if (near) return { to: data.container.name, port: String(data.container_port), protocol: data.protocol };
  const [first] = (graph.nodes.get(`host:${data.host}`)?.data?.["addresses"] ?? []) as string[];
  const address = isAny(data.host_address) ? first?.split("/")[0] : data.host_address;
  return address ? { to: address, port: String(data.host_port), protocol: data.protocol } : null;
}
