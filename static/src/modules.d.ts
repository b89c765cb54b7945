declare module "htmx.org/dist/htmx.esm.js" {
  interface Api {
    config: { includeIndicatorCSS: boolean; [key: string]: unknown };
    process(root: Element): void;
    // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the kit's own extension object is untyped
    registerExtension(name: string, extension: any): void;
  }
  const htmx: Api;
  export default htmx;
}
