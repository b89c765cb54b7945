// One WebSocket to the server's feed: it says where it stands, gets what it missed, and comes back by itself.
import type { Changes, Snapshot } from "./reducer";

/** Not numbered and never missed: only the latest counts. */
export interface Counters {
  type: "counters";
  at: string;
}

export type Message = Snapshot | Changes | Counters | { type: "ping" };

export type Status =
  | { state: "connecting" }
  | { state: "live" }
  | { state: "waiting"; seconds: number }
  | { state: "paused" }
  | { state: "out" };

export interface Position {
  epoch: string;
  n: number;
}

export interface Surroundings {
  open(url: string): WebSocket;
  later(run: () => void, ms: number): number;
  cancel(timer: number): void;
  random(): number;
}

export const SIGNED_OUT = 4401;
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

export class Connection {
  private socket: WebSocket | null = null;
  private failures = 0;
  private timer = 0;
  private silence = 0;
  private ended = false;
  private paused = false;

  constructor(
    private readonly url: string,
    private readonly position: () => Position,
    private readonly onMessage: (message: Snapshot | Changes | Counters) => void,
    private readonly onStatus: (status: Status) => void,
    private readonly around: Surroundings = browser,
  ) {}

  start(): void {
    if (this.socket || this.ended || this.paused) return;
    this.around.cancel(this.timer);
    const { epoch, n } = this.position();
    this.onStatus({ state: "connecting" });
    const socket = this.around.open(`${this.url}?epoch=${encodeURIComponent(epoch)}&since=${n}`);
    this.socket = socket;
    this.listen();
    socket.onmessage = (event: MessageEvent<string>) => {
      if (this.socket !== socket) return;
      this.listen();
      this.failures = 0;
      this.onStatus({ state: "live" });
      const message = JSON.parse(event.data) as Message;
      if (message.type !== "ping") this.onMessage(message);
    };
    socket.onclose = (event: CloseEvent) => {
      if (this.socket === socket) this.closed(event.code);
    };
  }

  /** Go back to the last known place: something was missed. */
  again(): void {
    this.drop();
    this.start();
  }

  /** Try at once instead of waiting (the machine is back on a network, a person asked). */
  hurry(): void {
    if (!this.socket && !this.ended && !this.paused) this.start();
  }

  pause(): void {
    this.paused = true;
    this.around.cancel(this.timer);
    this.drop();
    this.onStatus({ state: "paused" });
  }

  resume(): void {
    this.paused = false;
    this.start();
  }

  private listen(): void {
    this.around.cancel(this.silence);
    this.silence = this.around.later(() => {
      this.drop();
      this.closed(1006);
    }, SILENCE_MS);
  }

  private drop(): void {
    const socket = this.socket;
    this.socket = null;
    this.around.cancel(this.silence);
    if (socket) {
      socket.onclose = null;
      socket.onmessage = null;
      socket.close();
    }
  }

  private closed(code: number): void {
    this.socket = null;
    this.around.cancel(this.silence);
    if (code === SIGNED_OUT) {
      this.ended = true;
      this.onStatus({ state: "out" });
      return;
    }
    const ms = wait(this.failures, this.around.random());
    this.failures += 1;
    this.onStatus({ state: "waiting", seconds: Math.ceil(ms / 1000) });
    this.timer = this.around.later(() => this.start(), ms);
  }
}
