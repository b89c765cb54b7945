// What is typed stays, whatever comes back for it: an answer without the part that was asked for (the page to sign in, an error of
// the server or of a proxy before it) or none at all is not put in the place of a form.
import { renewed, signedOut } from "../shell/signed_out";
import { say, words } from "../words";

interface Context {
  select?: string;
  text?: string;
  target?: Element | string;
  response?: { raw: Response };
}

/** Whether `text` holds the part that `select` (`#id`) names. */
export function holds(text: string, select: string): boolean {
  return text.includes(`id="${select.replace(/^#/, "")}"`);
}

function told(event: Event): Context {
  return (event as CustomEvent<{ ctx?: Context }>).detail?.ctx ?? {};
}

/** Beside the form, until the next answer takes its place. */
function mark(sentence = words()["noAnswer"] ?? ""): void {
  const plan = document.getElementById("plan");
  say(sentence);
  if (!plan) return;
  const note = plan.querySelector(".no-answer") ?? document.createElement("div");
  note.className = "note note-warning no-answer";
  note.setAttribute("role", "alert");
  if (note.textContent !== sentence) note.textContent = sentence;
  if (!note.isConnected) plan.prepend(note);
}

/** The server did not believe that the form is this page's (`networks.refused_form` has the causes); its answer says why. */
async function refused(cause: string, answer: string): Promise<void> {
  if (cause === "signed-out") signedOut();
  else if (cause === "old" && (await renewed().catch(() => false))) mark(words()["renewed"]);
  else {
    const said = new DOMParser().parseFromString(answer, "text/html").querySelectorAll(".empty-state p, .note-error span");
    mark([...said].map((part) => part.textContent).join(" "));
  }
}

export function install(): void {
  document.addEventListener("htmx:after:request", (event) => {
    const { select, text, response } = told(event);
    if (!select?.startsWith("#") || text === undefined || holds(text, select)) return;
    event.preventDefault();
    const cause = response?.raw.headers.get("X-Refused-Form");
    if (cause) void refused(cause, text);
    else if (response?.raw.redirected) signedOut();
    else mark();
  });
  document.addEventListener("htmx:error", () => mark());
}
