// A page that was opened while there was one host has addresses that name none. Once another may have joined they would lead to whichever
// was chosen since: what is about to be followed is given the name of the host that the page is about.
import { known } from "../live/store";

const NAMES_NONE = /^\/(?!@|api\/|ws\/|static\/)/;

/** `address` at `host`; null where it is none of ours (`origin`), names one already or cannot. */
export function at(host: string, address: string, origin: string): string | null {
  const url = new URL(address, origin);
  if (url.origin !== origin || !NAMES_NONE.test(url.pathname)) return null;
  return `/@${encodeURIComponent(host)}${url.pathname}${url.search}${url.hash}`;
}

/** Whether there are several hosts; a page that does not hear of them cannot know. */
function maybeSeveral(own: string): boolean {
  return document.body.classList.contains("stale") || Object.keys(known().state["host"] ?? {}).some((name) => name !== own);
}

function name(part: Element, attribute: string, address: string): void {
  const own = document.body.dataset["host"];
  const named = own && maybeSeveral(own) ? at(own, address, location.origin) : null;
  if (named !== null) part.setAttribute(attribute, named);
}

export function ownHost(): void {
  const follow = (event: Event): void => {
    const link = event.target instanceof Element ? event.target.closest<HTMLAnchorElement>("a[href]") : null;
    if (link && !link.getAttribute("href")?.startsWith("#")) name(link, "href", link.href);
  };
  for (const event of ["click", "auxclick", "contextmenu"]) document.addEventListener(event, follow, { capture: true });
  document.addEventListener(
    "submit",
    (event) => {
      const form = event.target as HTMLFormElement;
      // What is posted says of which host it is.
      if (form.getAttribute("method")?.toLowerCase() !== "post") name(form, "action", new URL(form.getAttribute("action") ?? "", location.href).href);
    },
    { capture: true },
  );
}
