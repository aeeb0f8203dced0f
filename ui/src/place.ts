// What is looked at, in the address: each view can be kept, sent, and gone back to.

export interface View {
  select: string;
  q: string;
  group: string;
  tab: string;
  from: string;
  to: string;
  port: string;
}

const NAMES = ["select", "q", "group", "tab", "from", "to", "port"] as const;

export function read(): View {
  const values = new URLSearchParams(location.hash.slice(1));
  return Object.fromEntries(NAMES.map((name) => [name, values.get(name) ?? ""])) as unknown as View;
}

export function write(view: View, isStep: boolean): void {
  const values = new URLSearchParams();
  for (const name of NAMES) if (view[name]) values.set(name, view[name]);
  const hash = values.size ? `#${values}` : location.pathname;
  if (hash === location.hash) return;
  if (isStep) history.pushState(null, "", hash);
  else history.replaceState(null, "", hash);
}
