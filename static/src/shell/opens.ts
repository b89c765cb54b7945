// A link to a part that is folded away unfolds it: #schema-Network of the API's documentation.


/** The id that the end of an address (`#…`) names; empty where it names none, or cannot be read. */
export function named(hash: string): string {
  try {
    return decodeURIComponent(hash.slice(1));
  } catch {
    return "";
  }
}

function unfold(): void {
  const part = document.getElementById(named(location.hash));
  if (!(part instanceof HTMLDetailsElement)) return;
  part.open = true;
  part.scrollIntoView({ block: "start" });
}

export function opens(): void {
  window.addEventListener("hashchange", unfold);
  unfold();
}
