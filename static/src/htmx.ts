// htmx and the one thing of it that the page calls itself: its morph.
import htmx from "htmx.org/dist/htmx.esm.js";
import { ofPage } from "./live/ask";

type Morph = (old: Element, fragment: DocumentFragment, inner: boolean) => void;
let morphInto: Morph | null = null;

htmx.registerExtension("cnm", {
  init(api: { morph: Morph }) {
    morphInto = api.morph;
  },
  // A person's own open and closed details stay as they are.
  htmx_before_morph_attr(element: Element, detail: { attrName: string }): boolean {
    return !(detail.attrName === "open" && element instanceof HTMLDetailsElement);
  },
});

document.addEventListener("htmx:config:request", (event) => {
  const { ctx } = (event as CustomEvent<{ ctx: { request: { headers: Record<string, string> } } }>).detail;
  Object.assign(ctx.request.headers, ofPage());
});

/** Make `old` equal to `fresh`, changing only what differs. */
export function morph(old: Element, fresh: Element): void {
  const fragment = document.createDocumentFragment();
  fragment.append(document.importNode(fresh, true));
  morphInto?.(old, fragment, false);
  htmx.process(document.body);
}

export default htmx;
