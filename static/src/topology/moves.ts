// What a person moves: rooms to where they want them, and lines from a container to a network to connect it. Kept by the server.
import { isRoom, type Node } from "./graph";
import { NETWORK_HEAD, type Box } from "./layout";

const STARTS_AT_PX = 5;
const SAVE_AFTER_MS = 400;

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

/** Where rooms were put, told to the server a moment after the last change. */
export class Places {
  readonly moved = new Map<string, [number, number]>();
  private timer = 0;

  constructor(private readonly url: string) {
    const kept = JSON.parse(document.getElementById("places")?.textContent ?? "{}") as Record<string, [number, number]>;
    for (const [id, place] of Object.entries(kept)) this.moved.set(id, place);
  }

  put(id: string, place: [number, number]): void {
    this.moved.set(id, place);
    this.save();
  }

  forget(): void {
    this.moved.clear();
    this.save();
  }

  private save(): void {
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => {
      void fetch(this.url, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-CSRFToken": csrf() },
        body: JSON.stringify(Object.fromEntries(this.moved)),
        keepalive: true,
      });
    }, SAVE_AFTER_MS);
  }
}
