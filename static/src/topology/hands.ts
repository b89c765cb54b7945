// Pointer and keys on the canvas.
import type { Node } from "./graph";
import { keys } from "./keys";
import { install } from "./moves";
import type { Stage } from "./stage";

export interface Acts {
  node(id: string | null): Node | undefined;
  choose(id: string | null): void;
  open(id: string): void;
  nudge(by: [number, number]): boolean;
  move(id: string, to: [number, number]): void;
  mayConnect(node: Node): boolean;
  mayJoin(node: Node, room: string): boolean;
  connect(container: string, network: string): void;
}

export function hands(canvas: HTMLCanvasElement, stage: Stage, act: Acts): void {
  const hover = (id: string | null): void => {
    if (id === stage.scene.hovered) return;
    stage.scene.hovered = id;
    canvas.classList.toggle("pointing", id !== null);
    stage.paint();
  };
  const under = (event: MouseEvent): string | null => stage.find(...stage.place(event));
  canvas.addEventListener("pointermove", (event) => hover(under(event)));
  canvas.addEventListener("pointerleave", () => hover(null));
  canvas.addEventListener("click", (event) => act.choose(under(event)));
  canvas.addEventListener("dblclick", (event) => {
    const found = under(event);
    if (found) act.open(found);
  });
  keys(canvas, {
    pan: (dx, dy) => stage.pan(dx, dy),
    zoom: (closer) => (closer ? stage.closer() : stage.farther()),
    fit: () => stage.fit(),
    leave: () => act.choose(null),
    nudge: act.nudge,
  });
  install(canvas, {
    place: (event) => stage.place(event),
    node: (x, y) => act.node(stage.find(x, y)),
    box: (id) => stage.scene.layout.boxes.get(id),
    hostOf: (node) => stage.scene.layout.boxes.get(node.parent ?? ""),
    mayConnect: act.mayConnect,
    mayJoin: act.mayJoin,
    moved: act.move,
    drawing: (line) => {
      stage.scene.drawing = line;
      stage.paint();
    },
    connect: act.connect,
  });
}
