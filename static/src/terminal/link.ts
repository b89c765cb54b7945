// The bytes of a terminal over a WebSocket: it comes back by itself to where it was, and neither side drowns the other.
import { browser, Line, SIGNED_OUT, type Surroundings, type Wire } from "../live/line";

export type Status =
  | { state: "connecting" }
  | { state: "connected" }
  | { state: "waiting"; seconds: number }
  | { state: "taken" }
  | { state: "ended"; code: number; reason: string }
  | { state: "refused"; words: string }
  | { state: "gone" }
  | { state: "out" };

export interface Size {
  columns: number;
  rows: number;
}

export interface Screen {
  size(): Size;
  /** Everything comes anew; cut: from somewhere in the middle, for the beginning is not kept. */
  restart(cut: boolean): void;
  /** Old: it was printed before this page connected, so nobody waits for the terminal's answers to it. */
  output(data: Uint8Array, old: boolean): void;
  status(status: Status): void;
}

type Said =
  | { type: "attached"; from: number; total: number }
  | { type: "ack"; bytes: number }
  | { type: "ended"; exit_code: number; reason: string }
  | { type: "refused"; code: string; words: string }
  | { type: "taken" }
  | { type: "pong" };

const REFUSED = 4403;
const GONE = 4404;
export const PIECE = 16 << 10;
/** Bytes typed that are under way: half of what the server takes. */
export const WINDOW = 64 << 10;
const ACK_EVERY = 32 << 10;
const PING_MS = 10_000;

export class Link extends Line {
  private place = 0;
  private oldUntil = 0;
  private queue: Uint8Array[] = [];
  private underWay = 0;
  private unsaid = 0;
  private attached = false;

  constructor(
    private readonly url: string,
    private readonly screen: Screen,
    around: Surroundings = browser,
  ) {
    super(around);
  }

  protected address(): string {
    const { columns, rows } = this.screen.size();
    return `${this.url}?since=${this.place}&columns=${columns}&rows=${rows}`;
  }

  protected connecting(): void {
    this.screen.status({ state: "connecting" });
  }

  protected override take(wire: Wire): void {
    wire.binaryType = "arraybuffer";
    this.underWay = this.unsaid = 0;
    this.queue = [];
    this.attached = false;
    super.take(wire);
    this.ping(wire);
  }

  protected heard(data: string | ArrayBuffer): void {
    if (typeof data === "string") this.hear(JSON.parse(data) as Said);
    else this.printed(new Uint8Array(data));
  }

  /** Typed or pasted. Nothing is kept while there is no connection: what arrives late may do harm. */
  type(data: Uint8Array): void {
    if (!this.attached) return;
    for (let at = 0; at < data.length; at += PIECE) this.queue.push(data.subarray(at, at + PIECE));
    this.send();
  }

  resize(): void {
    if (this.attached) this.tell({ type: "resize", ...this.screen.size() });
  }

  /** So many bytes of output are on the screen. */
  shown(bytes: number): void {
    this.unsaid += bytes;
    if (this.unsaid < ACK_EVERY || !this.wire) return;
    this.tell({ type: "ack", bytes: this.unsaid });
    this.unsaid = 0;
  }

  private send(): void {
    for (let next = this.queue[0]; next && this.underWay + next.length <= WINDOW; next = this.queue[0]) {
      this.queue.shift();
      this.underWay += next.length;
      this.wire?.send(next as Uint8Array<ArrayBuffer>);
    }
  }

  private hear(said: Said): void {
    if (said.type === "attached") {
      if (said.from !== this.place || this.place === 0) {
        this.screen.restart(said.from > 0);
        this.oldUntil = said.total;
      }
      this.place = said.from;
      this.well();
      this.attached = true;
      this.screen.status({ state: "connected" });
    } else if (said.type === "ack") {
      this.underWay -= said.bytes;
      this.send();
    } else if (said.type === "ended") this.end({ state: "ended", code: said.exit_code, reason: said.reason });
    else if (said.type === "taken") this.end({ state: "taken" });
    else if (said.type === "refused" && said.code !== "unavailable") this.end({ state: "refused", words: said.words });
  }

  private printed(data: Uint8Array): void {
    const old = this.place < this.oldUntil;
    this.place += data.length;
    this.screen.output(data, old);
  }

  private tell(value: object): void {
    this.say(JSON.stringify(value));
  }

  private ping(wire: Wire): void {
    this.around.later(() => {
      if (this.wire !== wire) return;
      this.tell({ type: "ping" });
      this.ping(wire);
    }, PING_MS);
  }

  protected override drop(): void {
    this.attached = false;
    super.drop();
  }

  private end(status: Status): void {
    this.over = true;
    this.drop();
    this.screen.status(status);
  }

  protected final(code: number): boolean {
    if (code === SIGNED_OUT) this.screen.status({ state: "out" });
    else if (code === REFUSED || code === GONE) this.screen.status({ state: "gone" });
    else return false;
    return true;
  }

  protected waiting(seconds: number): void {
    this.screen.status({ state: "waiting", seconds });
  }
}
