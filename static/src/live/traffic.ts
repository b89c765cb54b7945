// Traffic as the server tells it while somebody looks: the latest sample of each host, in place of the one before. Not part of the
// numbered feed: what is missed is missed, and nothing is kept.

/** A second's worth: bytes and packets to a thing, then those from it. */
export type Flow = readonly [bytesTo: number, packetsTo: number, bytesFrom: number, packetsFrom: number];

export interface Sample {
  at: string;
  /** Seconds that it speaks of. */
  every: number;
  /** By device of the host; what does not move is left out. */
  links: Record<string, Flow>;
  /** By `protocol address port`; null: this kernel cannot count them. */
  ports: Record<string, Flow> | null;
}

/** By the host's name; a host that is not there has no fresh sample. */
export type Samples = Record<string, Sample>;

type Listener = (samples: Samples) => void;

let send: ((text: string) => void) | null = null;
let wanted = "";
let listener: Listener | null = null;

function say(): void {
  send?.(document.hidden ? "traffic off" : wanted || "traffic off");
}

/** Show traffic on this page from now on; while its tab is hidden nobody is asked for it. `what`: of devices alone, or of published
 * ports too, for which hosts put a table into their kernel. */
export function watch(then: Listener, what: "links" | "all" = "all"): void {
  listener = then;
  wanted = what === "all" ? "traffic on" : "traffic links";
  say();
  document.addEventListener("visibilitychange", say);
}

export function unwatch(): void {
  wanted = "";
  document.removeEventListener("visibilitychange", say);
  say();
}

/** The connection is there (anew). */
export function opened(by: (text: string) => void): void {
  send = by;
  if (wanted) say();
}

/** The connection has gone, and with it what it told. */
export function lost(): void {
  send = null;
  if (wanted) listener?.({});
}

export function take(samples: Samples): void {
  if (wanted) listener?.(samples);
}
