// "Trace to …": the next thing that is chosen is where the packet goes; the page of traces says what happens to it.
import { fill, say } from "../words";
import { element, type Words } from "./elements";
import type { ContainerData, Node } from "./graph";

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
  end(to: Node | undefined): boolean {
    const from = this.from!;
    this.leave();
    const asked = to && question(from, to);
    if (!asked) return false;
    location.href = `${this.panel.dataset["traceUrl"]}?${asked}`;
    return true;
  }

  private leave(): void {
    this.from = null;
    this.canvas.classList.remove("picking");
    this.panel.querySelector("[data-tracing]")?.remove();
  }
}

/** What is asked of a packet from one container to another (to the first port that it publishes, else a ping), or to where a published
 * port leads; null: no packet goes there. */
export function question(from: Node, to: Node): URLSearchParams | null {
  if (to.kind === "container") {
    if (to.id === from.id) return null;
    const [port] = (to.data as ContainerData).ports;
    const asked = port ? { port: String(port.container_port), protocol: port.protocol } : { protocol: "icmp" };
    return new URLSearchParams({ from: from.name, to: to.name, ...asked });
  }
  if (to.kind !== "port") return null;
  const { container, container_port: port, protocol } = to.data as { container: { id: string; name: string }; container_port: number; protocol: string };
  return new URLSearchParams({ from: from.name, to: container.name, port: String(port), protocol });
}
