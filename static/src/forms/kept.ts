// What is typed stays, whatever comes back for it: an answer without the part that was asked for (the page to sign in, an error of
// the server or of a proxy before it) or none at all is not put in the place of a form.
import { signedOut } from "../shell/signed_out";
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
function mark(): void {
  const plan = document.getElementById("plan");
  say(words()["noAnswer"] ?? "");
  if (!plan || plan.querySelector(".no-answer")) return;
  const note = document.createElement("div");
  note.className = "note note-warning no-answer";
  note.setAttribute("role", "alert");
  note.textContent = words()["noAnswer"] ?? "";
  plan.prepend(note);
}

export function install(): void {
  document.addEventListener("htmx:after:request", (event) => {
    const { select, text, response } = told(event);
    if (!select?.startsWith("#") || text === undefined || holds(text, select)) return;
    event.preventDefault();
    if (response?.raw.redirected) signedOut();
    else mark();
  });
  document.addEventListener("htmx:error", () => mark());
}
