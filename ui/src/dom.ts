// Elements in one call. Text is text: nothing that the host says is ever read as markup.

type Child = Node | string | null | undefined | false;
type Props = Record<string, unknown>;

export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) {
      element.addEventListener(name.slice(2), value as EventListener);
      continue;
    }
    // Some properties, as `list`, can only be read.
    const isSet = name in element && !name.includes("-") && Reflect.set(element, name, value);
    if (!isSet) element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child): child is Node | string => !!child || child === ""));
  return element;
}

/** Shows other content, if it is other: who has the focus there, or hears it read, keeps it. */
export function fill(element: HTMLElement, ...children: Child[]): void {
  const draft = h("div", {}, ...children);
  if (draft.innerHTML === element.innerHTML) return;
  const reachable = () => [...element.querySelectorAll<HTMLElement>("button, input, summary, [tabindex]")];
  const at = reachable().indexOf(document.activeElement as HTMLElement);
  element.replaceChildren(...draft.childNodes);
  if (at >= 0) (reachable()[at] ?? reachable().at(-1))?.focus();
}

export function byId(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (!element) throw new Error(`there is no #${id}`);
  return element;
}

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

/** An amount of bytes with at most four digits. */
export function amount(bytes: number): string {
  let unit = 0;
  while (bytes >= 1000 && unit < UNITS.length - 1) {
    bytes /= 1000;
    unit += 1;
  }
  const digits = bytes < 10 && unit > 0 ? 1 : 0;
  return `${bytes.toFixed(digits)} ${UNITS[unit]}`;
}

export function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}
