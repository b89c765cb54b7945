// Elements of the panels, without markup from strings.
export type Words = Record<string, string>;

export function element(tag: string, content: string, className = ""): HTMLElement {
  const item = document.createElement(tag);
  item.textContent = content;
  if (className) item.className = className;
  return item;
}

export function mono(value: string): HTMLElement {
  return element("span", value, "mono");
}

export function button(text: string, act: (button: HTMLButtonElement) => void, className = "btn btn-sm"): HTMLButtonElement {
  const item = element("button", text, className) as HTMLButtonElement;
  item.type = "button";
  item.addEventListener("click", () => act(item));
  return item;
}

export function link(text: string, href: string, className = "btn btn-sm"): HTMLAnchorElement {
  const item = element("a", text, className) as HTMLAnchorElement;
  item.href = href;
  return item;
}

export function icon(name: string, kind = ""): SVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", `icon icon-sm kind-${kind}`);
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${document.body.dataset["icons"] ?? ""}#${name}`);
  svg.append(use);
  return svg;
}
