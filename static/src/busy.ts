// The dashboard's busiest endpoints, once a second from the latest samples. Who stands behind a device is asked once.
import { askHere } from "./live/ask";
import * as traffic from "./live/traffic";
import type { Flow, Samples } from "./live/traffic";
import { rate, total } from "./topology/traffic";

export interface Busy {
  host: string;
  device: string;
  flow: Flow;
}

interface Owner {
  container: string;
  network: string;
  url: string;
}

const SHOWN = 5;
/** Of so many it is asked whose they are: devices of others are among them. */
const ASKED = 20;

/** Those that move most, the first first. */
export function busiest(samples: Samples, most: number): Busy[] {
  return Object.entries(samples)
    .flatMap(([host, sample]) => Object.entries(sample.links).map(([device, flow]) => ({ host, device, flow })))
    .filter(({ flow }) => total(flow) > 0)
    .sort((a, b) => total(b.flow) - total(a.flow) || a.device.localeCompare(b.device))
    .slice(0, most);
}

const owners = new Map<string, Owner | null>();
let asking = false;

function key({ host, device }: Busy): string {
  return `${host} ${device}`;
}

async function learn(url: string, unknown: Busy[]): Promise<void> {
  if (asking || !unknown.length) return;
  asking = true;
  const query = new URLSearchParams(unknown.map((busy) => ["device", key(busy)]));
  const answer = await askHere(`${url}?${query}`).catch(() => null);
  if (answer?.ok) {
    const told = (await answer.json()) as Record<string, Owner>;
    for (const busy of unknown) owners.set(key(busy), told[key(busy)] ?? null);
  }
  asking = false;
}

function line(owner: Owner, flow: Flow): HTMLElement {
  const item = document.createElement("li");
  const link = document.createElement("a");
  link.href = owner.url;
  link.textContent = owner.container;
  const where = document.createElement("span");
  where.className = "text-secondary";
  where.textContent = owner.network;
  const figures = document.createElement("span");
  figures.className = "num";
  const language = document.documentElement.lang || undefined;
  figures.textContent = `↓ ${rate(flow[0], language)}  ↑ ${rate(flow[2], language)}`;
  item.append(link, where, figures);
  return item;
}

export function busy(): void {
  const list = document.getElementById("busy");
  const idle = document.getElementById("busy-none");
  const url = list?.dataset["url"];
  if (!list || !idle || !url) return;
  traffic.watch((samples) => {
    const found = busiest(samples, ASKED);
    void learn(url, found.filter((one) => !owners.has(key(one))));
    const named = found.flatMap((one) => {
      const owner = owners.get(key(one));
      return owner ? [line(owner, one.flow)] : [];
    });
    list.replaceChildren(...named.slice(0, SHOWN));
    idle.hidden = named.length > 0;
  }, "links");
}
