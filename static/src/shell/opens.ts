// A link to a part that is folded away unfolds it: #schema-Network of the API's documentation.

function unfold(): void {
  const part = location.hash.length > 1 ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
  if (!(part instanceof HTMLDetailsElement)) return;
  part.open = true;
  part.scrollIntoView({ block: "start" });
}

export function opens(): void {
  window.addEventListener("hashchange", unfold);
  unfold();
}
