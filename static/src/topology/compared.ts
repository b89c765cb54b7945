// What changed between two moments, as a list: each object with what differs, and who or what made it so; then the rules.
import { fill } from "../words";
import { button, element, link, mono, type Words } from "./elements";
import type { Node } from "./graph";
import { ask, type Cause, type Change, type Comparison, type PastRule } from "./past";
import { local } from "./timeline";

const SHOWN_FIELDS = 6;
const SIGNS = { "+": "came", "-": "went", "~": "differs" } as const;

export function showCompared(place: HTMLElement, compared: Comparison | null, words: Words, hrefs: { operation: string }, choose: (id: string) => void): void {
  place.hidden = compared === null;
  if (!compared) return;
  const heading = element("h2", fill(words["changedHead"] ?? "", { since: local(Date.parse(compared.since)), at: local(Date.parse(compared.at)) }), "card-title");
  const list = element("ul", "", "changes");
  for (const change of compared.changes) list.append(one(change, words, hrefs, choose));
  const parts: HTMLElement[] = [heading];
  if (!compared.changes.length) parts.push(element("p", words["nothingChanged"] ?? "", "text-secondary"));
  parts.push(list);
  if (compared.left_out) parts.push(element("p", fill(words["leftOut"] ?? "", { count: compared.left_out }), "because"));
  parts.push(...rules(compared, words));
  place.replaceChildren(...parts);
}

function one(change: Change, words: Words, hrefs: { operation: string }, choose: (id: string) => void): HTMLElement {
  const item = element("li", "", "change");
  const sign = element("span", change.sign === "-" ? "−" : change.sign, `sign sign-${SIGNS[change.sign]}`);
  sign.setAttribute("role", "img");
  sign.setAttribute("aria-label", words[SIGNS[change.sign]] ?? change.sign);
  const kind = words[`kind.${change.kind}`] ?? words[change.kind] ?? change.kind;
  item.append(sign, ` ${kind} `, change.kind === "drift" ? mono(change.name) : button(change.name, () => choose(change.kind === "host" ? `host:${change.id}` : change.id), "btn-link-inline"));
  for (const field of change.fields.slice(0, SHOWN_FIELDS)) {
    const line = element("div", `${words[field.name] ?? field.name.replace(/_/g, " ")}: `, "change-field");
    line.append(element("del", field.before || "—"), " → ", element("ins", field.after || "—"));
    item.append(line);
  }
  for (const cause of change.causes) item.append(caused(cause, words, hrefs));
  return item;
}

function caused(cause: Cause, words: Words, hrefs: { operation: string }): HTMLElement {
  const line = element("div", "", "because");
  if (cause.writer) line.append(fill(words["byWriter"] ?? "", { writer: cause.writer }));
  else if (cause.operation) line.append(link(words[`verb.${cause.verb}`] ?? cause.verb ?? "", hrefs.operation.replace("OBJECT", cause.operation), ""), ` · ${cause.by}`);
  else line.append(cause.by === "worker" ? (words["byWorker"] ?? "") : (cause.by ?? ""));
  if (cause.at) line.append(` · ${local(Date.parse(cause.at))}`);
  return line;
}

function rules(compared: Comparison, words: Words): HTMLElement[] {
  if (!compared.rules) return [element("p", words["rulesUnknown"] ?? "", "because")];
  const { added, removed, writers, unknown } = compared.rules;
  const several = new Set([...added, ...removed].map((rule) => rule.host)).size > 1;
  const details = element("details", "", "rule-changes");
  const title = fill(words["rulesChanged"] ?? "", { added: added.length, removed: removed.length });
  details.append(element("summary", title));
  if (writers.length) details.append(element("p", fill(words["byWriter"] ?? "", { writer: writers.join(", ") }), "because"));
  const line = (sign: string, tag: string, rule: PastRule): HTMLElement => element(tag, `${sign} ${several ? `${rule.host} ` : ""}${rule.table} ${rule.text}`, "mono rule-change");
  for (const rule of removed) details.append(line("−", "del", rule));
  for (const rule of added) details.append(line("+", "ins", rule));
  if (!unknown?.length) return [details];
  return [details, element("p", `${words["rulesUnknown"] ?? ""} ${unknown.join(", ")}`, "because")];
}

/** The rules of the chosen network or container as they stood at that moment, below what is known of it. */
export function showRulesThen(place: HTMLElement, at: string, node: Node | undefined, words: Words): void {
  if (!node || (node.kind !== "container" && node.kind !== "network")) return;
  const details = element("details", "", "rule-changes") as HTMLDetailsElement;
  details.append(element("summary", words["rulesThen"] ?? ""));
  place.append(details);
  const data = node.data as { id: string; host: string; endpoints?: { id: string }[]; ports?: { id: string }[]; links?: { id: string }[] };
  const owners = node.kind === "container" ? [data, ...(data.endpoints ?? []), ...(data.ports ?? []), ...(data.links ?? [])].map((part) => part.id) : [data.id];
  details.addEventListener("toggle", () => {
    if (!details.open || details.dataset["asked"]) return;
    details.dataset["asked"] = "1";
    void Promise.all(owners.map((owner) => ask<{ rules: PastRule[] }>("/rules", { at, owner, host: data.host }))).then(
      (found) => {
        const stood = found.flatMap((one) => one.rules);
        for (const rule of stood) details.append(element("div", `${rule.table} ${rule.text}`, "mono rule-change"));
        if (!stood.length) details.append(element("p", words["noRules"] ?? "", "because"));
      },
      (error: unknown) => details.append(element("p", error instanceof Error ? error.message : "", "note note-error")),
    );
  });
}
