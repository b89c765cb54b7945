// What is shown, in the address of the page: a view can be kept, sent, and come back to.
import type { Words } from "./elements";
import type { Wishes } from "./model";

export interface Chosen {
  focused: string | null;
  collapsed: Set<string>;
  hidden: Set<string>;
  /** The moment that is shown, as it was asked for; empty: now. */
  at: string;
  /** The moment with which it is compared; empty: none. */
  since: string;
}

const CHECKS = { stopped: "0", empty: "1", foreign: "0", only: "1" } as const;
/** Name of a box -> what is written when it differs from what it is at first. */

const field = (tools: HTMLFormElement, name: string): HTMLInputElement => tools.elements.namedItem(name) as HTMLInputElement;

/** The labels by which containers can stand together. */
export function fillChoices(tools: HTMLFormElement, labels: string[], words: Words): void {
  const select = tools.elements.namedItem("group") as HTMLSelectElement;
  for (const key of labels) {
    const value = `label:${key}`;
    if (![...select.options].some((option) => option.value === value)) select.append(new Option(`${words["label"] ?? "label"} ${key}`, value));
  }
}

export function readView(tools: HTMLFormElement, words: Words): Chosen {
  const wanted = new URLSearchParams(location.search);
  const asked = wanted.get("group") ?? "";
  if (asked.startsWith("label:")) fillChoices(tools, [asked.slice("label:".length)], words);
  field(tools, "q").value = wanted.get("q") ?? "";
  for (const [name, said] of Object.entries(CHECKS)) field(tools, name).checked = (wanted.get(name) === said) === (said === "1");
  const select = tools.elements.namedItem("group") as HTMLSelectElement;
  const group = wanted.get("group") ?? "network";
  if ([...select.options].some((option) => option.value === group)) select.value = group;
  return {
    focused: wanted.get("focus"),
    collapsed: ids(wanted.get("collapsed")),
    hidden: ids(wanted.get("hidden")),
    at: wanted.get("at") ?? "",
    since: wanted.get("since") ?? "",
  };
}

/** What the tools ask for. */
export function readWishes(tools: HTMLFormElement, chosen: Chosen): Wishes {
  const data = new FormData(tools);
  return {
    emptyPredefined: data.has("empty"),
    stopped: data.has("stopped"),
    foreign: data.has("foreign"),
    group: String(data.get("group") ?? "network"),
    collapsed: chosen.collapsed,
    hidden: chosen.hidden,
    focus: chosen.focused,
  };
}

/** Ids as one value, with commas between them. That of a group ends with the value of a label, which may have commas of its own. */
export function joined(ids: Iterable<string>): string {
  return [...ids].map((id) => id.replaceAll("%", "%25").replaceAll(",", "%2C")).join(",");
}

export function ids(text: string | null): Set<string> {
  return new Set((text ?? "").split(",").filter(Boolean).map((id) => id.replaceAll("%2C", ",").replaceAll("%25", "%")));
}

export function writeView(tools: HTMLFormElement, chosen: Chosen): void {
  const data = new FormData(tools);
  const said = new URLSearchParams();
  const q = String(data.get("q") ?? "").trim();
  if (q) said.set("q", q);
  for (const [name, off] of Object.entries(CHECKS)) if (data.has(name) === (off === "1")) said.set(name, off);
  const group = String(data.get("group") ?? "network");
  if (group !== "network") said.set("group", group);
  if (chosen.focused) said.set("focus", chosen.focused);
  if (chosen.collapsed.size) said.set("collapsed", joined(chosen.collapsed));
  if (chosen.hidden.size) said.set("hidden", joined(chosen.hidden));
  if (chosen.at) said.set("at", chosen.at);
  if (chosen.since) said.set("since", chosen.since);
  history.replaceState(null, "", said.size ? `?${said}` : location.pathname);
}
