// What is shown, in the address of the page: a view can be kept, sent, and come back to.

export interface View {
  focused: string | null;
  collapsed: Set<string>;
}

export function readView(tools: HTMLFormElement): View {
  const wanted = new URLSearchParams(location.search);
  const field = (name: string): HTMLInputElement => tools.elements.namedItem(name) as HTMLInputElement;
  field("q").value = wanted.get("q") ?? "";
  field("stopped").checked = wanted.get("stopped") !== "0";
  field("empty").checked = wanted.get("empty") === "1";
  return { focused: wanted.get("focus"), collapsed: new Set((wanted.get("collapsed") ?? "").split(",").filter(Boolean)) };
}

export function writeView(tools: HTMLFormElement, view: View): void {
  const data = new FormData(tools);
  const said = new URLSearchParams();
  const q = String(data.get("q") ?? "").trim();
  if (q) said.set("q", q);
  if (!data.has("stopped")) said.set("stopped", "0");
  if (data.has("empty")) said.set("empty", "1");
  if (view.focused) said.set("focus", view.focused);
  if (view.collapsed.size) said.set("collapsed", [...view.collapsed].join(","));
  history.replaceState(null, "", said.size ? `?${said}` : location.pathname);
}
