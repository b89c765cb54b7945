// What a person moves: rooms to where they want them, and lines from a container to a network to connect it. Kept by the server.
import { ofPage } from "../live/ask";
import { onReturn, renewed, signedOut } from "../shell/signed_out";
import { isRoom, type Node } from "./graph";
import { NETWORK_HEAD, type Box } from "./layout";

const STARTS_AT_PX = 5;
const SAVE_AFTER_MS = 400;
const AFTER_FAILURE_MS = 3000;
/** Rooms in one message: what is on its way as the page is left may have 64 KiB, and the longest id with its place 160 bytes. */
const PART = 300;

export interface Ground {
  /** From the canvas's pixels to the picture's. */
  place(event: MouseEvent): [number, number];
  node(x: number, y: number): Node | undefined;
  box(id: string): Box | undefined;
  hostOf(node: Node): Box | undefined;
  /** Whether a line may be drawn: a person who may connect, and a container that can be. */
  mayConnect(node: Node): boolean;
  /** Whether it may end at that room: one of the same host. */
  mayJoin(node: Node, room: string): boolean;
  moved(id: string, to: [number, number]): void;
  drawing(line: { from: string; x: number; y: number; to: string | null } | null): void;
  connect(container: string, network: string): void;
}

/** Whether a drag that begins here is ours and not one of the whole picture: on a room's head, or on a container. */
export function grabs(node: Node | undefined, box: Box | undefined, y: number): "room" | "line" | null {
  if (!node || !box) return null;
  if (node.kind === "container") return "line";
  return isRoom(node) && y <= box.y + NETWORK_HEAD ? "room" : null;
}

export function install(canvas: HTMLCanvasElement, ground: Ground): void {
  canvas.addEventListener("pointerdown", (down) => {
    if (down.button !== 0 || down.pointerType === "touch") return;
    const [x, y] = ground.place(down);
    const node = ground.node(x, y);
    const box = node && ground.box(node.id);
    const kind = grabs(node, box, y);
    if (!node || !box || !kind || (kind === "line" && !ground.mayConnect(node))) return;
    let begun = false;
    let target: string | null = null;
    const move = (event: PointerEvent): void => {
      if (!begun && Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY) < STARTS_AT_PX) return;
      begun = true;
      canvas.setPointerCapture(down.pointerId);
      const [toX, toY] = ground.place(event);
      if (kind === "room") {
        const host = ground.hostOf(node);
        if (host) ground.moved(node.id, [Math.round(box.x + toX - x - host.x), Math.round(box.y + toY - y - host.y)]);
        return;
      }
      const under = ground.node(toX, toY);
      const room = under?.kind === "network" ? under.id : under?.kind === "container" ? under.parent : null;
      target = room !== null && room !== node.parent && ground.mayJoin(node, room) ? room : null;
      ground.drawing({ from: node.id, x: toX, y: toY, to: target });
    };
    const end = (): void => {
      canvas.removeEventListener("pointermove", move);
      canvas.removeEventListener("pointerup", end);
      canvas.removeEventListener("pointercancel", end);
      ground.drawing(null);
      if (!begun) return;
      const swallow = (event: Event): void => event.stopImmediatePropagation(); // the click that ends a drag chooses nothing
      canvas.addEventListener("click", swallow, { capture: true, once: true });
      window.setTimeout(() => canvas.removeEventListener("click", swallow, { capture: true }), 0);
      if (target) ground.connect(node.id, target);
    };
    canvas.addEventListener("pointermove", move);
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", end);
  });
}

/** What a request that changes something must carry. */
export function csrf(): string {
  return document.querySelector<HTMLInputElement>("input[name=csrfmiddlewaretoken]")?.value ?? "";
}

interface Message {
  /** Whatever was told before. */
  forget: boolean;
  places: Record<string, [number, number]>;
}

/** Where rooms were put, told to the server a moment after a change: only what it has not been told, in parts that go even as the page is left. */
export class Places {
  readonly moved = new Map<string, [number, number]>();
  private readonly untold = new Map<string, [number, number]>();
  /** The server is to forget what it was told before. */
  private forgets = false;
  private telling = false;
  private timer = 0;

  constructor(private readonly url: string) {
    const kept = JSON.parse(document.getElementById("places")?.textContent ?? "{}") as Record<string, [number, number]>;
    for (const [id, place] of Object.entries(kept)) this.moved.set(id, place);
    window.addEventListener("pagehide", () => this.leave());
    onReturn(() => void this.tell());
  }

  put(id: string, place: [number, number]): void {
    this.moved.set(id, place);
    this.untold.delete(id); // what is put last is told last
    this.untold.set(id, place);
    this.later(SAVE_AFTER_MS);
  }

  forget(): void {
    this.moved.clear();
    this.untold.clear();
    this.forgets = true;
    this.later(SAVE_AFTER_MS);
  }

  private later(ms: number): void {
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.tell(), ms);
  }

  /** One part after the other, so that they come in order. */
  private async tell(): Promise<void> {
    if (this.telling) return;
    this.telling = true;
    while (this.owes() && (await this.tellPart()));
    this.telling = false;
  }

  /** All of it at once: nobody is there to hear an answer. */
  private leave(): void {
    while (this.owes()) void this.tellPart();
  }

  private owes(): boolean {
    return this.forgets || this.untold.size > 0;
  }

  /** What is to be forgotten goes with the first part, so that neither overtakes the other. False: it is to be told again. */
  private async tellPart(): Promise<boolean> {
    const forget = this.forgets;
    const part = [...this.untold].slice(0, PART);
    this.forgets = false;
    for (const [id] of part) this.untold.delete(id);
    const answer = await this.send({ forget, places: Object.fromEntries(part) });
    if (answer?.ok || answer?.status === 400) return true; // what the server cannot take it would refuse again
    this.keep(part, forget);
    await this.failed(answer);
    return false;
  }

  /** Tell it the next time; what was moved or forgotten meanwhile is newer. What was to be forgotten takes all with it that was told since. */
  private keep(part: [string, [number, number]][], forget: boolean): void {
    if (this.forgets) return;
    this.forgets = forget;
    for (const [id, place] of forget ? this.moved : part) if (!this.untold.has(id)) this.untold.set(id, place);
  }

  private async failed(answer: Response | null): Promise<void> {
    if (answer?.type === "opaqueredirect") signedOut();
    else if (!answer || answer.status >= 500 || (answer.headers.get("X-Refused-Form") === "old" && (await renewed().catch(() => false)))) this.later(AFTER_FAILURE_MS);
  }

  private send(message: Message): Promise<Response | null> {
    const headers = { "Content-Type": "application/json", "X-CSRFToken": csrf(), ...ofPage() };
    return fetch(this.url, { method: "POST", headers, body: JSON.stringify(message), keepalive: true, redirect: "manual" }).catch(() => null);
  }
}
