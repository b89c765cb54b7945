// The colours of the canvas: those of the style sheet, read again when the theme changes.
export interface Palette {
  surface: string;
  surface2: string;
  ink: string;
  ink2: string;
  line: string;
  lineStrong: string;
  focus: string;
  good: string;
  bad: string;
  warn: string;
  idle: string;
  network: string;
  networkBg: string;
  container: string;
  containerBg: string;
  port: string;
  portBg: string;
  outside: string;
  outsideBg: string;
  host: string;
  hostBg: string;
  font: string;
}

export function palette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const read = (name: string): string => style.getPropertyValue(`--cnm-${name}`).trim();
  return {
    surface: read("surface"),
    surface2: read("surface-2"),
    ink: read("ink"),
    ink2: read("ink-2"),
    line: read("line"),
    lineStrong: read("line-strong"),
    focus: read("focus"),
    good: read("good"),
    bad: read("bad"),
    warn: read("warn"),
    idle: read("idle"),
    network: read("network"),
    networkBg: read("network-bg"),
    container: read("container"),
    containerBg: read("container-bg"),
    port: read("port"),
    portBg: read("port-bg"),
    outside: read("outside"),
    outsideBg: read("outside-bg"),
    host: read("host"),
    hostBg: read("host-bg"),
    font: getComputedStyle(document.body).fontFamily,
  };
}
