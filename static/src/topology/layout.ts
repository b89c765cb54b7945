// Where things stand: packed boxes in boxes. Deterministic, so the same graph always gives the same picture; sizes grow in steps,
// so that a newcomer rarely moves anybody. Pure; lengths are in pixels at scale 1.
import { OUTSIDE, type Graph, type Node } from "./graph";

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Layout {
  boxes: Map<string, Box>;
  bounds: Box;
}

export const CONTAINER = { width: 150, height: 46 };
export const PORT = { width: 92, height: 26 };
export const NETWORK_HEAD = 40;
export const HOST_HEAD = 44;
const GAP = 14;
const PAD = 16;
const HOST_PAD = 22;
const PORT_GAP = 8;
const OUTSIDE_BOX = { width: 96, height: 72 };
const ASPECT = 1.7;

/** The next of 1, 2, 3, 4, 6, 8, 12, 16, 24, …: room is taken in steps. */
export function step(count: number): number {
  if (count <= 4) return Math.max(1, count);
  let size = 4;
  while (size < count) size = Number.isInteger(Math.log2(size)) ? size * 1.5 : (size / 3) * 4;
  return size;
}

export function columns(count: number): number {
  return Math.max(1, Math.ceil(Math.sqrt((step(count) * ASPECT * CONTAINER.height) / CONTAINER.width)));
}

export function layout(graph: Graph): Layout {
  const boxes = new Map<string, Box>();
  const hosts = [...graph.nodes.values()].filter((node) => node.kind === "host");
  const left = graph.nodes.has(OUTSIDE) ? OUTSIDE_BOX.width + 110 : 0;
  let y = 0;
  let width = 0;
  for (const host of hosts) {
    const box = placeHost(graph, boxes, host, left, y);
    y += box.height + 48;
    width = Math.max(width, left + box.width);
  }
  const height = Math.max(y - 48, OUTSIDE_BOX.height);
  if (left) boxes.set(OUTSIDE, { x: 0, y: height / 2 - OUTSIDE_BOX.height / 2, ...OUTSIDE_BOX });
  return { boxes, bounds: { x: 0, y: 0, width: Math.max(width, 1), height: Math.max(height, 1) } };
}

function placeHost(graph: Graph, boxes: Map<string, Box>, host: Node, x: number, y: number): Box {
  const inside = (graph.children.get(host.id) ?? []).map((id) => graph.nodes.get(id)!);
  const ports = inside.filter((node) => node.kind === "port").sort(byPort);
  const rooms = inside.filter((node) => node.kind !== "port").map((node) => ({ node, ...size(graph, node) }));
  const area = rooms.reduce((sum, room) => sum + (room.width + GAP) * (room.height + GAP), 0);
  const widest = rooms.reduce((most, room) => Math.max(most, room.width), 0);
  const shelf = Math.max(widest, 160 * step(Math.ceil(Math.sqrt(area * ASPECT) / 160)));

  const portRows = Math.max(6, Math.ceil(Math.sqrt(area) / (PORT.height + PORT_GAP)));
  const portColumns = Math.ceil(ports.length / portRows);
  const portWidth = portColumns ? portColumns * (PORT.width + PORT_GAP) + 64 : 0;
  const startX = x + HOST_PAD + portWidth;
  let atX = startX;
  let atY = y + HOST_HEAD + 8;
  let shelfHeight = 0;
  let right = startX;
  for (const room of rooms) {
    if (atX > startX && atX + room.width > startX + shelf) {
      atX = startX;
      atY += shelfHeight + GAP + 6;
      shelfHeight = 0;
    }
    placeRoom(graph, boxes, room.node, { x: atX, y: atY, width: room.width, height: room.height });
    atX += room.width + GAP + 6;
    shelfHeight = Math.max(shelfHeight, room.height);
    right = Math.max(right, atX - GAP - 6);
  }
  const portsHeight = Math.min(ports.length, portRows) * (PORT.height + PORT_GAP);
  const bottom = Math.max(atY + shelfHeight, y + HOST_HEAD + 8 + portsHeight, y + 120);
  ports.forEach((node, number) => {
    // A port straddles the host's edge while one column is enough: it is the door.
    const column = Math.floor(number / portRows);
    boxes.set(node.id, {
      x: x - PORT.width / 2 + (portColumns > 1 ? PORT.width / 2 + 8 : 0) + column * (PORT.width + PORT_GAP),
      y: y + HOST_HEAD + 8 + (number % portRows) * (PORT.height + PORT_GAP),
      ...PORT,
    });
  });
  const box = { x, y, width: Math.max(right - x + HOST_PAD, 320), height: bottom - y + HOST_PAD };
  boxes.set(host.id, box);
  return box;
}

function byPort(a: Node, b: Node): number {
  const first = Number(a.data?.["host_port"] ?? 0) - Number(b.data?.["host_port"] ?? 0);
  return first || (a.id < b.id ? -1 : 1);
}

function size(graph: Graph, node: Node): { width: number; height: number } {
  if (node.kind === "container") return CONTAINER;
  const count = graph.children.get(node.id)?.length ?? 0;
  if (!count) return { width: CONTAINER.width + 2 * PAD, height: NETWORK_HEAD + CONTAINER.height + PAD };
  const across = Math.min(columns(count), count);
  const down = Math.ceil(count / across);
  return {
    width: across * (CONTAINER.width + GAP) - GAP + 2 * PAD,
    height: NETWORK_HEAD + 6 + down * (CONTAINER.height + GAP) - GAP + PAD,
  };
}

function placeRoom(graph: Graph, boxes: Map<string, Box>, node: Node, box: Box): void {
  boxes.set(node.id, box);
  const inside = graph.children.get(node.id) ?? [];
  const across = Math.max(1, Math.min(columns(inside.length), inside.length));
  inside.forEach((id, number) => {
    boxes.set(id, {
      x: box.x + PAD + (number % across) * (CONTAINER.width + GAP),
      y: box.y + NETWORK_HEAD + 6 + Math.floor(number / across) * (CONTAINER.height + GAP),
      ...CONTAINER,
    });
  });
}
