// The canvas without a mouse.

export interface Keys {
  /** By so many pixels of the screen. */
  pan(dx: number, dy: number): void;
  zoom(closer: boolean): void;
  fit(): void;
  leave(): void;
  /** Move what is chosen; false: nothing that can be moved is. */
  nudge(by: [number, number]): boolean;
}

const ARROWS: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const PAN_PX = 60;
const NUDGE_PX = 20;

export function keys(canvas: HTMLCanvasElement, act: Keys): void {
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (press(event, act)) event.preventDefault();
  });
}

function press(event: KeyboardEvent, act: Keys): boolean {
  const arrow = ARROWS[event.key];
  if (arrow) {
    const [x, y] = arrow;
    if (event.shiftKey && act.nudge([x * NUDGE_PX, y * NUDGE_PX])) return true;
    act.pan(-x * PAN_PX, -y * PAN_PX);
  } else if (event.key === "+") act.zoom(true);
  else if (event.key === "-") act.zoom(false);
  else if (event.key === "0") act.fit();
  else if (event.key === "Escape") act.leave();
  else return false;
  return true;
}
