// A WebSocket that comes back by itself: after a wait that grows, and also where it only falls silent. What goes over it is for
// those who extend it to say.

/** What a line needs of a WebSocket; whatever behaves so will do. */
export type Wire = Pick<WebSocket, "binaryType" | "close" | "onclose" | "onmessage" | "readyState" | "send">;

export interface Surroundings {
  open(url: string): Wire;
  later(run: () => void, ms: number): number;
  cancel(timer: number): void;
  random(): number;
}

export const SIGNED_OUT = 4401;
export const NORMAL = 1000;
const ABNORMAL = 1006;
const OPEN = 1;
const SILENCE_MS = 25_000;
const LONGEST_WAIT_MS = 30_000;

export const browser: Surroundings = {
  open: (url) => new WebSocket(url),
  later: (run, ms) => window.setTimeout(run, ms),
  cancel: (timer) => window.clearTimeout(timer),
  random: () => Math.random(),
};

/** Full jitter between half a second and 30 s, so that many pages do not come back at one moment. */
export function wait(failures: number, random: number): number {
  const most = Math.min(LONGEST_WAIT_MS, 1000 * 2 ** Math.min(failures, 10));
  return Math.max(500, Math.round(random * most));
}

export abstract class Line {
  protected wire: Wire | null = null;
  /** It does not come back. */
  protected over = false;
  private failures = 0;
  private timer = 0;
  private silence = 0;

  constructor(protected readonly around: Surroundings = browser) {}

  /** Where it leads, with the place up to which all is known. */
  protected abstract address(): string;
  protected abstract connecting(): void;
  protected abstract heard(data: string | ArrayBuffer): void;
  /** It is closed. True: that is final. */
  protected abstract final(code: number): boolean;
  protected abstract waiting(seconds: number): void;

  start(): void {
    if (this.wire || this.over) return;
    this.around.cancel(this.timer);
    this.connecting();
    this.take(this.around.open(this.address()));
  }

  /** Try at once instead of waiting (the machine is back on a network, a person asked). */
  hurry(): void {
    if (!this.wire) this.start();
  }

  protected take(wire: Wire): void {
    this.wire = wire;
    this.listen();
    wire.onmessage = (event: MessageEvent<string | ArrayBuffer>) => {
      if (this.wire !== wire) return;
      this.listen();
      this.heard(event.data);
    };
    wire.onclose = (event: CloseEvent) => {
      if (this.wire === wire) this.closed(event.code);
    };
  }

  /** All is well: the next failure is the first. */
  protected well(): void {
    this.failures = 0;
  }

  protected say(text: string): void {
    if (this.wire?.readyState === OPEN) this.wire.send(text);
  }

  protected drop(): void {
    const { wire } = this;
    this.wire = null;
    this.around.cancel(this.silence);
    if (!wire) return;
    wire.onclose = null;
    wire.onmessage = null;
    wire.close();
  }

  /** Neither open nor about to be. */
  protected rest(): void {
    this.around.cancel(this.timer);
    this.drop();
  }

  private listen(): void {
    this.around.cancel(this.silence);
    this.silence = this.around.later(() => this.closed(ABNORMAL), SILENCE_MS);
  }

  private closed(code: number): void {
    this.drop();
    if (this.final(code)) {
      this.over = true;
      return;
    }
    if (this.wire) return; // another way was found
    const ms = wait(this.failures, this.around.random());
    this.failures += 1;
    this.waiting(Math.ceil(ms / 1000));
    this.timer = this.around.later(() => this.start(), ms);
  }
}
