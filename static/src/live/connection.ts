// The page's line to the server's feed: it says where it stands, gets what it missed, and comes back by itself. Where no WebSocket
// comes through (some proxies let none), the REST API is asked every few seconds instead.
import { browser, Line, NORMAL, SIGNED_OUT, type Surroundings } from "./line";
import { ask, Poll, type Ask } from "./poll";
import type { Changes, Snapshot } from "./reducer";
import type { Samples } from "./traffic";

/** Not numbered and never missed: only the latest counts. */
export interface Counters {
  type: "counters";
  at: string;
}

/** All is well with the connection; `alive` says whether it is with the worker of this page's host, too, `silent` with whose it is not. */
export interface Ping {
  type: "ping";
  alive: boolean;
  silent?: string[];
}

/** The latest of what moves, where the page has asked for it. */
export interface Traffic {
  type: "traffic";
  hosts: Samples;
}

export type Message = Snapshot | Changes | Counters | Traffic | Ping;

export type Status =
  | { state: "connecting" }
  | { state: "live" }
  | { state: "polled" }
  | { state: "waiting"; seconds: number }
  | { state: "paused" }
  | { state: "out" };

export interface Position {
  epoch: string;
  n: number;
}

export class Connection extends Line {
  private paused = false;
  /** Whether this wire has said anything. */
  private spoke = false;
  /** Whether what was heard last came by asking. */
  private polled = false;

  constructor(
    private readonly url: string,
    private readonly position: () => Position,
    private readonly onMessage: (message: Message) => void,
    private readonly onStatus: (status: Status) => void,
    around: Surroundings = browser,
    private readonly asks: Ask = ask,
  ) {
    super(around);
  }

  override start(): void {
    if (!this.paused) super.start();
  }

  /** Say something to the server, if it is there. */
  send(text: string): void {
    this.say(text);
  }

  /** Go back to the last known place: something was missed. */
  again(): void {
    this.drop();
    this.start();
  }

  /** The person is signed in again. */
  back(): void {
    this.over = false;
    this.start();
  }

  pause(): void {
    this.paused = true;
    this.rest();
    this.onStatus({ state: "paused" });
  }

  resume(): void {
    this.paused = false;
    this.start();
  }

  protected address(): string {
    const { epoch, n } = this.position();
    return `${this.url}${this.url.includes("?") ? "&" : "?"}epoch=${encodeURIComponent(epoch)}&since=${n}`;
  }

  protected connecting(): void {
    this.spoke = false;
    if (!this.polled) this.onStatus({ state: "connecting" });
  }

  protected heard(data: string): void {
    this.well();
    this.spoke = true;
    this.polled = this.wire instanceof Poll;
    this.onStatus({ state: this.polled ? "polled" : "live" });
    this.onMessage(JSON.parse(data) as Message);
  }

  /** A WebSocket that closes without a word may never get through: the other way is tried at once, and a WebSocket now and then. */
  protected final(code: number): boolean {
    if (code === SIGNED_OUT) {
      this.onStatus({ state: "out" });
      return true;
    }
    if (this.polled && code === NORMAL) this.start();
    else if (!this.spoke) {
      this.spoke = true; // where that fails too, the server is away: one waits
      this.take(new Poll(this.position, this.around, this.asks));
    }
    return false;
  }

  protected waiting(seconds: number): void {
    this.polled = false;
    this.onStatus({ state: "waiting", seconds });
  }
}
