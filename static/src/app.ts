// What every page of the console runs.
import "./htmx";
import { busy } from "./busy";
import * as kept from "./forms/kept";
import * as lines from "./forms/lines";
import * as offers from "./forms/offers";
import * as rows from "./forms/rows";
import * as shows from "./forms/shows";
import * as wizard from "./forms/wizard";
import { Connection, type Status } from "./live/connection";
import { changed } from "./live/refresh";
import { known, onFeed, silent, take } from "./live/store";
import * as traffic from "./live/traffic";
import { keys } from "./shell/keys";
import { palette } from "./shell/palette";
import { opens } from "./shell/opens";
import { ownHost } from "./shell/own_host";
import * as leaving from "./shell/signed_out";
import { tabs } from "./shell/tabs";
import { times } from "./shell/times";
import * as rules from "./rules";
import { fill, say, words } from "./words";

function live(): void {
  const url = document.body.dataset["liveUrl"];
  const indicator = document.getElementById("live");
  if (!url || !indicator) return;
  let alive = document.body.dataset["alive"] === "1";
  const connection = new Connection(
    new URL(url, location.href.replace(/^http/, "ws")).href,
    known,
    (message) => {
      if (message.type === "counters") changed(["counters"]);
      else if (message.type === "traffic") traffic.take(message.hosts);
      else if (message.type === "ping") {
        if (message.alive !== alive) changed(["host"]);
        alive = message.alive;
        if (message.silent) silent(message.silent);
      }
      else if (!take(message)) connection.again();
    },
    (status) => {
      if (status.state === "live" && indicator.dataset["state"] !== "live") traffic.opened((text) => connection.send(text));
      else if (status.state !== "live") traffic.lost();
      show(indicator, status);
      if (status.state === "out") leaving.signedOut();
    },
  );
  leaving.onReturn(() => connection.back());
  onFeed((changes) => {
    if (changes === null) {
      changed(null);
      return;
    }
    changed(changes.map((change) => change.kind));
    // A page that tells what changed by itself does so by name.
    const shown = changes.filter((change) => change.kind === "network" || change.kind === "container");
    if (shown.length && !document.querySelector("[data-tells]")) say(fill(words().changed, { count: new Set(shown.map((change) => change.id)).size }));
  });
  connection.start();
  window.addEventListener("online", () => connection.hurry());
  window.addEventListener("pagehide", () => connection.pause());
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) connection.resume();
  });
  indicator.addEventListener("click", () => {
    if (indicator.dataset["state"] === "live" || indicator.dataset["state"] === "polled") connection.pause();
    else if (indicator.dataset["state"] === "paused") connection.resume();
    else if (indicator.dataset["state"] === "out") leaving.signedOut();
    else connection.hurry();
  });
}

/** A time of day in the person's own zone and language. */
function clock(at: number): string {
  const timeZone = document.body.dataset["zone"];
  return new Date(at).toLocaleTimeString(document.documentElement.lang || undefined, timeZone ? { timeZone } : {});
}

let since = 0;
let counting = 0;

function show(indicator: HTMLElement, status: Status): void {
  window.clearInterval(counting);
  if (status.state === "connecting" && indicator.dataset["state"] === "waiting") return; // the sentence there says it
  if (indicator.dataset["state"] === status.state && status.state !== "waiting") return;
  if (status.state === "live" || status.state === "polled") since = Date.now();
  indicator.dataset["state"] = status.state;
  const asOf = clock(since || Date.now());
  const write = (seconds: number): void => {
    indicator.textContent = fill(words()[status.state] ?? status.state, { seconds, time: asOf });
  };
  if (status.state !== "waiting") {
    write(0);
    document.body.classList.toggle("stale", status.state === "paused" || status.state === "out");
    return;
  }
  let left = status.seconds;
  write(left);
  document.body.classList.add("stale");
  counting = window.setInterval(() => write((left = Math.max(0, left - 1))), 1000);
}

/** Menus close when something else is clicked or Escape is pressed; the side navigation too. */
function menus(): void {
  const open = (): HTMLDetailsElement[] => [...document.querySelectorAll<HTMLDetailsElement>("details.menu[open]")];
  document.addEventListener("click", (event) => {
    for (const menu of open()) if (!menu.contains(event.target as Element)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of open()) {
      menu.open = false;
      menu.querySelector("summary")?.focus();
    }
    if (location.hash === "#navigation") location.hash = "";
  });
}

/** The pickers of a table: "all" box, and a bar that says how many. */
function pickers(): void {
  document.addEventListener("change", (event) => {
    const box = event.target as HTMLInputElement;
    if (box.matches("[data-pick-all]")) {
      for (const item of document.querySelectorAll<HTMLInputElement>("input[data-pick]")) item.checked = box.checked;
    }
    if (box.matches("[data-pick-all], [data-pick]")) picked();
  });
  document.addEventListener("cnm:refreshed", picked);
  picked();
}

function picked(): void {
  const bar = document.querySelector<HTMLElement>("[data-picked]");
  if (!bar) return;
  const count = document.querySelectorAll("input[data-pick]:checked").length;
  bar.dataset["picked"] = String(count);
  const text = bar.querySelector("[data-picked-count]");
  if (text) text.textContent = fill(words()["picked"] ?? "{count}", { count });
}

function copying(): void {
  document.addEventListener("click", (event) => {
    const button = (event.target as Element).closest<HTMLElement>("[data-copy]");
    if (!button) return;
    const from = document.querySelector(button.dataset["copy"] ?? "");
    void navigator.clipboard.writeText(from?.textContent?.trim() ?? "").then(() => say(words().copied));
  });
}

/** A form is sent once; the button says that it works. */
function once(): void {
  document.addEventListener("submit", (event) => {
    const form = event.target as HTMLFormElement;
    if (form.method.toLowerCase() !== "post" || event.defaultPrevented || form.hasAttribute("data-many")) return;
    if (form.dataset["sent"]) {
      event.preventDefault();
      return;
    }
    form.dataset["sent"] = "1";
    const button = (event.submitter ?? form.querySelector("[type=submit]")) as HTMLElement | null;
    button?.classList.add("working");
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll<HTMLFormElement>("form[data-sent]")) delete form.dataset["sent"];
    for (const button of document.querySelectorAll(".working")) button.classList.remove("working");
  });
}

/** Selects that act at once where there is script; without it their form has a button. */
function autoSubmit(): void {
  document.addEventListener("change", (event) => {
    const select = event.target as HTMLElement;
    if (select.matches("[data-auto-submit]")) select.closest("form")?.requestSubmit();
  });
}

document.documentElement.classList.add("js");
kept.install();
lines.install();
offers.install();
rows.install();
shows.install();
wizard.install();
rules.install();
menus();
pickers();
copying();
palette();
keys();
tabs();
opens();
ownHost();
times();
once();
autoSubmit();
busy();
live();
