// The kit writes its measures and colours into <style> elements and style attributes, which our content security policy forbids, and
// rightly so: markup that somebody plants must not do so. Scripts of ours may set styles by the object model, so that is what the
// kit's calls are led to.

/** What *run* makes as <style> gets a style sheet of the document's own instead. */
export function withOwnSheets<T>(run: () => T): T {
  const make = document.createElement.bind(document);
  const patched = (name: string, options?: ElementCreationOptions): HTMLElement =>
    name.toLowerCase() === "style" ? adopted(make("template")) : make(name, options);
  document.createElement = patched as typeof document.createElement;
  try {
    return run();
  } finally {
    document.createElement = make as typeof document.createElement;
  }
}

function adopted(element: HTMLElement): HTMLElement {
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  Object.defineProperty(element, "textContent", {
    get: () => "",
    set: (text: string | null) => sheet.replaceSync(text ?? ""),
  });
  return element;
}

/** From now on `setAttribute("style", …)` sets the same by the object model. */
export function styleByObject(): void {
  const set = HTMLElement.prototype.setAttribute;
  HTMLElement.prototype.setAttribute = function (this: HTMLElement, name: string, value: string): void {
    if (name === "style") this.style.cssText = value;
    else set.call(this, name, value);
  };
}
