// What a page's scripts ask the server for it.

/** Which host the page is about: where its address names none, what it sends is for that one, whichever was chosen elsewhere since. */
export function ofPage(): Record<string, string> {
  return { "X-Page-Host": document.body.dataset["host"] ?? "" };
}

/**
 * Ask, and say that it is the page that asks: it is answered even where its address names no host and there are several by now. So an
 * answer that leads elsewhere (which is not followed) leads to the page to sign in.
 */
export function askHere(url: string | URL, more: Omit<RequestInit, "headers" | "redirect"> = {}): Promise<Response> {
  return fetch(url, { ...more, headers: { "X-Live-Refresh": "1", ...ofPage() }, redirect: "manual" });
}
