// For the tests of what goes over a line: a WebSocket that does as it is told, and a browser whose clock is turned by hand.
import type { Surroundings } from "./line";

export class Wire {
  readyState = 1;
  binaryType = "";
  onmessage: ((event: { data: string | ArrayBuffer }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  sent: (string | Uint8Array)[] = [];
  constructor(readonly url: string) {}
  send(data: string | Uint8Array): void {
    this.sent.push(data);
  }
  close(): void {
    this.readyState = 3;
  }
  says(value: object): void {
    this.onmessage?.({ data: JSON.stringify(value) });
  }
  prints(text: string): void {
    this.onmessage?.({ data: new TextEncoder().encode(text).buffer as ArrayBuffer });
  }
  get bytes(): number {
    return this.sent.reduce((sum, item) => sum + (typeof item === "string" ? 0 : item.length), 0);
  }
}

export class Hand implements Surroundings {
  wires: Wire[] = [];
  timers = new Map<number, { run: () => void; ms: number }>();
  private next = 1;
  open(url: string): WebSocket {
    this.wires.push(new Wire(url));
    return this.wires.at(-1) as unknown as WebSocket;
  }
  later(run: () => void, ms: number): number {
    this.timers.set(this.next, { run, ms });
    return this.next++;
  }
  cancel(timer: number): void {
    this.timers.delete(timer);
  }
  random(): number {
    return 0.5;
  }
  get wire(): Wire {
    return this.wires.at(-1) as Wire;
  }
  /** Run those timers that were set for so long. */
  fire(least: number, most: number): void {
    for (const [timer, { run, ms }] of [...this.timers]) {
      if (ms < least || ms > most) continue;
      this.timers.delete(timer);
      run();
    }
  }
}
