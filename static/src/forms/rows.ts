// Repeatable rows of a form. The server always gives one empty row more than was typed; here people add and take away more.

/** `ports.3.host_port` with another number: `ports.4.host_port`. */
export function renumbered(name: string, prefix: string, number: number): string {
  const escaped = prefix.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return name.replace(new RegExp(`^((?:\\w+-)?${escaped}\\.)\\d+(\\.|$)`), (_whole, head: string, tail: string) => `${head}${number}${tail}`);
}

function setNumber(row: Element, prefix: string, number: number): void {
  for (const item of [row, ...row.querySelectorAll("*")]) {
    for (const attribute of ["name", "id", "for", "aria-describedby"]) {
      const value = item.getAttribute(attribute);
      if (value) item.setAttribute(attribute, renumbered(value, prefix, number));
    }
  }
}

function add(set: HTMLElement): void {
  const rows = set.querySelectorAll<HTMLElement>("[data-row]");
  const lastRow = rows[rows.length - 1];
  if (!lastRow) return;
  const fresh = lastRow.cloneNode(true) as HTMLElement;
  fresh.querySelectorAll(".invalid-feedback").forEach((item) => item.remove());
  fresh.querySelectorAll(".is-invalid").forEach((item) => item.classList.remove("is-invalid"));
  for (const input of fresh.querySelectorAll<HTMLInputElement | HTMLSelectElement>("input, select, textarea")) {
    if (input instanceof HTMLSelectElement) input.selectedIndex = 0;
    else {
      input.value = "";
      input.removeAttribute("value");
    }
  }
  setNumber(fresh, set.dataset["rows"] ?? "", rows.length);
  lastRow.after(fresh);
  fresh.querySelector<HTMLElement>("input, select")?.focus();
}

function remove(row: HTMLElement): void {
  const set = row.closest<HTMLElement>("[data-rows]");
  if (!set) return;
  const form = row.closest("form");
  if (set.querySelectorAll("[data-row]").length === 1) {
    for (const input of row.querySelectorAll<HTMLInputElement>("input")) input.value = "";
  } else {
    row.remove();
    set.querySelectorAll("[data-row]").forEach((item, number) => setNumber(item, set.dataset["rows"] ?? "", number));
  }
  set.querySelector<HTMLElement>("[data-add]")?.focus();
  form?.dispatchEvent(new Event("change", { bubbles: true }));
}

export function install(): void {
  document.addEventListener("click", (event) => {
    const target = event.target as Element;
    const adding = target.closest("[data-add]")?.closest<HTMLElement>("[data-rows]");
    if (adding) {
      event.preventDefault();
      add(adding);
      return;
    }
    const removing = target.closest("[data-remove]")?.closest<HTMLElement>("[data-row]");
    if (removing) {
      event.preventDefault();
      remove(removing);
    }
  });
}
