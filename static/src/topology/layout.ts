// Where things stand: packed boxes in boxes. Deterministic, so the same graph always gives the same picture; sizes grow in steps,
// so that a newcomer rarely moves anybody. Pure; lengths are in pixels at scale 1.
import { isGuest, OUTSIDE, type Graph, type Node } from "./graph";

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

/** What a picture stands on before anything is laid out. */
export const NOWHERE: Layout = { boxes: new Map(), bounds: { x: 0, y: 0, width: 1, height: 1 } };

export const CONTAINER = { width: 150, height: 46 };
export const PORT = { width: 92, height: 26 };
export const NETWORK_HEAD = 40;
export const HOST_HEAD = 44;
const GAP = 22;
const PAD = 16;
const HOST_PAD = 22;
const HOST_GAP = 48;
/** Hosts stand below each other as long as there are few. */
const MOST_IN_A_COLUMN = 3;
const PORT_GAP = 8;
const OUTSIDE_BOX = { width: 96, height: 72 };
export const WIDE = 1.25;
export const TALL = 0.45;

/** The next of 1, 2, 3, 4, 6, 8, 12, 16, 24, …: room is taken in steps. */
export function step(count: number): number {
  if (count <= 4) return Math.max(1, count);
  let size = 4;
  while (size < count) size = Number.isInteger(Math.log2(size)) ? size * 1.5 : (size / 3) * 4;
  return size;
}

export function columns(count: number): number {
  return Math.max(1, Math.ceil(Math.sqrt((step(count) * 1.7 * CONTAINER.height) / CONTAINER.width)));
}

/** Where a person put a room, from its host's corner. */
export type Moved = ReadonlyMap<string, readonly [number, number]>;

/**
 * `aspect` is the wanted ratio of width to height of the rooms: less than one for a tall, narrow canvas. A room that a person moved
 * stands where it was put; its place in the packing stays free, so that nobody else moves.
 */
export function layout(graph: Graph, aspect = WIDE, moved: Moved = new Map()): Layout {
  const boxes = new Map<string, Box>();
  const hosts = [...graph.nodes.values()].filter((node) => node.kind === "host");
  const left = graph.nodes.has(OUTSIDE) ? OUTSIDE_BOX.width + PORT.width / 2 + 44 : 0;
  const across = hosts.length <= MOST_IN_A_COLUMN ? 1 : Math.max(1, Math.round(Math.sqrt(hosts.length * aspect)));
  const down = Math.max(1, Math.ceil(hosts.length / across));
  const narrow = aspect < 1;
  // Together they are to have that shape, of which ports and what is others' take a part, too.
  const each = down === 1 ? aspect : aspect * Math.max(1, (down / across) * (narrow ? 1.5 : 0.5));
  let [x, y, width, tallest] = [left, 0, 0, 0];
  hosts.forEach((host, number) => {
    if (number && number % across === 0) [x, y, tallest] = [left, y + tallest + HOST_GAP, 0];
    const box = placeHost(graph, boxes, host, { x, y }, { aspect: each, narrow }, moved);
    width = Math.max(width, x + box.width);
    tallest = Math.max(tallest, box.height);
    x += box.width + HOST_GAP + PORT.width / 2;
  });
  const height = Math.max(y + tallest, OUTSIDE_BOX.height);
  if (left) boxes.set(OUTSIDE, { x: 0, y: height / 2 - OUTSIDE_BOX.height / 2, ...OUTSIDE_BOX });
  return { boxes, bounds: { x: 0, y: 0, width: Math.max(width, 1), height: Math.max(height, 1) } };
}

/** Of a host's rooms: width to height, and whether what is others' stands below ours and not beside. */
interface Shape {
  aspect: number;
  narrow: boolean;
}

function placeHost(graph: Graph, boxes: Map<string, Box>, host: Node, { x, y }: { x: number; y: number }, shape: Shape, moved: Moved): Box {
  const { aspect, narrow } = shape;
  const inside = (graph.children.get(host.id) ?? []).map((id) => graph.nodes.get(id)!);
  const rooms = inside.filter((node) => node.kind !== "port").map((node) => ({ node, ...size(graph, node) }));
  const ports = inside.filter((node) => node.kind === "port");
  const ours = rooms.filter((room) => room.node.kind !== "foreign" && room.node.kind !== "stranger");
  const others = rooms.filter((room) => !ours.includes(room)); // behind ours, so that nothing moves when they are hidden
  const area = ours.reduce((sum, room) => sum + (room.width + GAP) * (room.height + GAP), 0);
  const tallest = ours.reduce((most, room) => Math.max(most, room.height), 0);
  const columnHeight = Math.max(tallest, 110 * step(Math.ceil(Math.sqrt(area / aspect) / 110)));
  const portRows = Math.max(6, Math.ceil(columnHeight / (PORT.height + PORT_GAP)));
  const portColumns = Math.ceil(ports.length / portRows);
  const startX = x + HOST_PAD + portsWidth(portColumns);
  const startY = y + HOST_HEAD + 8;
  const taken = { width: 0, height: 0, ...(ours.length ? placeRooms(graph, boxes, ours, { x: startX, y: startY }, columnHeight) : {}) };
  if (others.length) {
    const gap = ours.length ? GAP + 8 : 0;
    const from = narrow ? { x: startX, y: startY + taken.height + gap } : { x: startX + taken.width + gap, y: startY };
    const beside = placeRooms(graph, boxes, others, from, columnHeight);
    taken.width = narrow ? Math.max(taken.width, beside.width) : taken.width + gap + beside.width;
    taken.height = narrow ? taken.height + gap + beside.height : Math.max(taken.height, beside.height);
  }
  const far = placeMoved(graph, boxes, rooms, { x, y }, moved);
  placePorts(graph, boxes, ports, { x, y: startY }, portRows, portColumns);
  const portsHeight = Math.min(ports.length, portRows) * (PORT.height + PORT_GAP);
  const box = {
    x,
    y,
    width: Math.max(startX - x + taken.width + HOST_PAD, far.x - x + HOST_PAD, 320),
    height: Math.max(HOST_HEAD + 8 + Math.max(taken.height, portsHeight, 60), far.y - y) + HOST_PAD,
  };
  boxes.set(host.id, box);
  return box;
}

/** What ports take inside a host, with room for their lines; a single column stands half outside. */
function portsWidth(across: number): number {
  if (!across) return 0;
  return across === 1 ? PORT.width / 2 + 48 : across * (PORT.width + PORT_GAP) + 48;
}

/** Shift what a person moved, with what it holds; the far corner of all that. */
function placeMoved(graph: Graph, boxes: Map<string, Box>, rooms: { node: Node }[], from: { x: number; y: number }, moved: Moved): { x: number; y: number } {
  const far = { x: from.x, y: from.y };
  for (const { node } of rooms) {
    const to = moved.get(node.id);
    const box = boxes.get(node.id);
    if (!to || !box) continue;
    const dx = from.x + Math.max(HOST_PAD, to[0]) - box.x;
    const dy = from.y + Math.max(HOST_HEAD, to[1]) - box.y;
    for (const id of [node.id, ...(graph.children.get(node.id) ?? [])]) {
      const old = boxes.get(id)!;
      boxes.set(id, { ...old, x: old.x + dx, y: old.y + dy });
    }
    far.x = Math.max(far.x, box.x + dx + box.width);
    far.y = Math.max(far.y, box.y + dy + box.height);
  }
  return far;
}

/** Columns from the left, filled from the top: what stands in a column starts at one line, so that lines into it stay short. */
function placeRooms(
  graph: Graph,
  boxes: Map<string, Box>,
  rooms: { node: Node; width: number; height: number }[],
  from: { x: number; y: number },
  columnHeight: number,
): { width: number; height: number } {
  let { x, y } = from;
  let columnWidth = 0;
  let height = 0;
  for (const room of rooms) {
    if (y > from.y && y + room.height > from.y + columnHeight) {
      x += columnWidth + GAP + 8;
      y = from.y;
      columnWidth = 0;
    }
    placeRoom(graph, boxes, room.node, { x, y, width: room.width, height: room.height });
    y += room.height + GAP + 8;
    columnWidth = Math.max(columnWidth, room.width);
    height = Math.max(height, y - GAP - 8 - from.y);
  }
  return { width: x + columnWidth - from.x, height };
}

/** A port straddles the host's edge while one column is enough: it is the door. Ports stand in the order of what they lead to. */
function placePorts(graph: Graph, boxes: Map<string, Box>, ports: Node[], from: { x: number; y: number }, rows: number, across: number): void {
  const target = new Map(graph.edges.filter((edge) => edge.kind === "port").map((edge) => [edge.from, boxes.get(edge.to)]));
  const height = (node: Node): number => target.get(node.id)?.y ?? 0;
  const along = (node: Node): number => target.get(node.id)?.x ?? 0;
  const sorted = [...ports].sort((a, b) => height(a) - height(b) || along(a) - along(b) || byPort(a, b));
  sorted.forEach((node, number) => {
    boxes.set(node.id, {
      x: from.x - PORT.width / 2 + (across > 1 ? PORT.width / 2 + 8 : 0) + Math.floor(number / rows) * (PORT.width + PORT_GAP),
      y: from.y + (number % rows) * (PORT.height + PORT_GAP),
      ...PORT,
    });
  });
}

function byPort(a: Node, b: Node): number {
  const first = Number(a.data?.["host_port"] ?? 0) - Number(b.data?.["host_port"] ?? 0);
  return first || (a.id < b.id ? -1 : 1);
}

function size(graph: Graph, node: Node): { width: number; height: number } {
  if (isGuest(node)) return CONTAINER;
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
