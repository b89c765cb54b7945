// The feed by asking for it: the same messages as over a WebSocket, a few seconds late. It behaves as one, so that nobody else
// needs to know.
import type { Position } from "./connection";
import { NORMAL, SIGNED_OUT, type Surroundings, type Wire } from "./line";
import type { Changes, Snapshot } from "./reducer";

export type Answer = (Snapshot | Changes) & { alive: boolean; silent?: string[] };
/** What the feed says after a place; a number is the status of a refusal. Rejects where there is no answer. */
export type Ask = (at: Position) => Promise<Answer | number>;

const EVERY_MS = 3000;
/** After so many answers it ends: perhaps a WebSocket gets through by now. */
const MOST_ANSWERS = 40;
const ABNORMAL = 1006;

export const ask: Ask = async ({ epoch, n }) => {
  const answer = await fetch(`/api/v1/events?${new URLSearchParams({ host: document.body.dataset["host"] ?? "", epoch, since: String(n) })}`);
  return answer.ok ? ((await answer.json()) as Answer) : answer.status;
};

export class Poll implements Wire {
  binaryType: BinaryType = "blob";
  readyState = 0;
  onmessage: Wire["onmessage"] = null;
  onclose: Wire["onclose"] = null;
  private answers = 0;
  private timer = 0;

  constructor(
    private readonly position: () => Position,
    private readonly around: Surroundings,
    private readonly asks: Ask,
  ) {
    this.timer = around.later(() => void this.next(), 0);
  }

  /** There is nothing to say by this way: traffic comes over a WebSocket alone. */
  send(): void {}

  close(): void {
    this.readyState = 3;
    this.around.cancel(this.timer);
  }

  private async next(): Promise<void> {
    const found = await this.asks(this.position()).catch(() => 0);
    if (this.readyState === 3) return;
    if (typeof found === "number") this.ended(found === 401 || found === 403 ? SIGNED_OUT : ABNORMAL);
    else {
      const { alive, silent, ...news } = found;
      this.tell(news);
      this.tell({ type: "ping", alive, ...(silent ? { silent } : {}) });
      this.answers += 1;
      if (this.answers === MOST_ANSWERS) this.ended(NORMAL);
      else this.timer = this.around.later(() => void this.next(), EVERY_MS);
    }
  }

  private tell(message: object): void {
    this.onmessage?.call(this as unknown as WebSocket, { data: JSON.stringify(message) } as MessageEvent<string>);
  }

  private ended(code: number): void {
    this.onclose?.call(this as unknown as WebSocket, { code } as CloseEvent);
  }
}
