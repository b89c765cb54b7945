// A log as the server streams it: an object a line, each with the place after it, from which a later connection goes on.
export type Line = [time: string, stream: string, text: string];

export interface Batch {
  lines?: Line[];
  at?: string;
  gap?: boolean;
  end?: boolean;
}

/** Takes text as it comes, gives whole batches; remembers the place after the last whole one, so that nothing comes twice. */
export class Reader {
  place = "";
  private rest = "";

  feed(text: string): Batch[] {
    const pieces = (this.rest + text).split("\n");
    this.rest = pieces.pop() ?? "";
    const batches = pieces.filter(Boolean).map((piece) => JSON.parse(piece) as Batch);
    for (const batch of batches) if (batch.at) this.place = batch.at;
    return batches;
  }

  /** The connection broke: half a batch is worth nothing, for it comes again whole. */
  broken(): void {
    this.rest = "";
  }
}
