// The session has ended while the page is open: a dialog to sign in again in place, so that what was typed stays.
import { askHere } from "../live/ask";

const TOKEN = "[name=csrfmiddlewaretoken]";
const heard: (() => void)[] = [];

/** What is to be done when the person is back. */
export function onReturn(then: () => void): void {
  heard.push(then);
}

/** Ask for the password; a dialog that was closed comes again with the next call. */
export function signedOut(): void {
  const dialog = find() ?? made();
  if (!dialog || dialog.open) return;
  for (const open of document.querySelectorAll<HTMLDialogElement>("dialog[open]")) open.close();
  dialog.showModal();
}

/** It comes into the page when it is asked for: a field for a password on each page is one more that programs fill in. */
function made(): HTMLDialogElement | null {
  const part = document.getElementById("signed-out-part") as HTMLTemplateElement | null;
  if (!part) return null;
  document.body.append(part.content.cloneNode(true));
  const dialog = find();
  dialog?.querySelector("form")?.addEventListener("submit", (event) => {
    event.preventDefault();
    void send(dialog, event.target as HTMLFormElement);
  });
  return dialog;
}

function find(): HTMLDialogElement | null {
  return document.getElementById("signed-out") as HTMLDialogElement | null;
}

async function send(dialog: HTMLDialogElement, form: HTMLFormElement): Promise<void> {
  const note = dialog.querySelector<HTMLElement>("[role=alert]");
  const password = form.querySelector<HTMLInputElement>("[type=password]");
  const answer = await signIn(form).catch(() => null);
  if (answer?.type === "opaqueredirect" && (await renew(dialog.dataset["page"] ?? ""))) {
    if (password) password.value = "";
    if (note) note.textContent = "";
    dialog.close();
    for (const then of heard) then();
    return;
  }
  const page = answer && answer.type !== "opaqueredirect" ? parsed(await answer.text()) : null;
  const said = page?.querySelector(".note-error span")?.textContent;
  if (note) note.textContent = said ?? dialog.dataset["failed"] ?? "";
  password?.select();
}

/** Led on: the person is signed in, by this form or in another tab. What a tab did since may have made this page's token worthless. */
async function signIn(form: HTMLFormElement): Promise<Response> {
  const now = await askHere(form.action);
  if (now.type === "opaqueredirect") return now;
  const token = tokenOf(parsed(await now.text()));
  const field = form.querySelector<HTMLInputElement>(TOKEN);
  if (token && field) field.value = token;
  return fetch(form.action, { method: "POST", body: new FormData(form), redirect: "manual" });
}

/** Have the page send the token of now: a sign-in in another tab made the one that it has worthless. False: it could not be had. */
export function renewed(): Promise<boolean> {
  const part = document.getElementById("signed-out-part") as HTMLTemplateElement | null;
  return renew(part?.content.querySelector<HTMLElement>("dialog")?.dataset["page"] ?? "");
}

/** A new session has a new token; every form of the page is to send it. False: somebody else is signed in, and the page is theirs. */
async function renew(url: string): Promise<boolean> {
  const answer = await askHere(url).catch(() => null);
  const page = answer?.ok || answer?.status === 404 ? parsed(await answer.text()) : null;
  const token = page && tokenOf(page);
  if (!page || !token) return false;
  if (page.body.dataset["person"] !== document.body.dataset["person"]) {
    location.reload();
    return false;
  }
  for (const field of document.querySelectorAll<HTMLInputElement>(TOKEN)) field.value = token;
  return true;
}

function tokenOf(page: Document): string | undefined {
  return page.querySelector<HTMLInputElement>(TOKEN)?.value;
}

function parsed(text: string): Document {
  return new DOMParser().parseFromString(text, "text/html");
}
