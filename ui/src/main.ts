// Ties the parts together: the store tells, the scene is made, the list and the drawing show it.

import type { Change } from "./api";
import { Details } from "./details";
import { Doctor } from "./doctor";
import { byId, count, h } from "./dom";
import { Drawing } from "./draw";
import { Explain } from "./explain";
import { LARGE, layoutOf } from "./layout";
import * as place from "./place";
import { sceneOf, type Grouping, type Scene } from "./scene";
import { Store, key } from "./store";
import { Tree } from "./tree";

const store = new Store();
let view = place.read();
let scene: Scene | undefined;
const toggled = new Set<string>();

const drawing = new Drawing(byId("stage"), (hit) => {
  if (hit?.kind === "group") {
    toggle(hit.id);
  } else {
    choose(hit?.id);
  }
});
const tree = new Tree((id) => choose(id));
const details = new Details(byId("details"), store, choose, look);
const explain = new Explain(store, look, mark);
const doctor = new Doctor(store, choose, (found) => {
  byId("tab-doctor").dataset["found"] = found ? String(found) : "";
});

const search = h("input", { type: "search", id: "search", placeholder: "Search", "aria-label": "Search names and addresses", value: view.q, oninput: () => look({ q: search.value }) });
const group = h(
  "select",
  { id: "group", "aria-label": "Group containers by", onchange: () => look({ group: group.value }) },
  h("option", { value: "" }, "by network"),
  h("option", { value: "owner" }, "by owner"),
);
const THEMES = ["auto", "light", "dark"];
const theme = h("button", { type: "button", id: "theme", onclick: () => paintAs(THEMES[(THEMES.indexOf(theme.value) + 1) % 3] ?? "auto") });
byId("controls").append(search, group, theme);

const tabs = ["list", "explain", "doctor", "changes"] as const;
const TITLES = { list: "Network", explain: "Path", doctor: "Findings", changes: "Changes" };
const tabBar = h("div", { role: "tablist", "aria-label": "What is listed", class: "tabs" });
const panels = {
  list: h("div", { role: "tabpanel", id: "panel-list", "aria-labelledby": "tab-list", class: "panel" }, tree.element),
  explain: h("div", { role: "tabpanel", id: "panel-explain", "aria-labelledby": "tab-explain", class: "panel", tabIndex: 0 }, explain.element),
  doctor: h("div", { role: "tabpanel", id: "panel-doctor", "aria-labelledby": "tab-doctor", class: "panel", tabIndex: 0 }, doctor.element),
  changes: h("div", { role: "tabpanel", id: "panel-changes", "aria-labelledby": "tab-changes", class: "panel", tabIndex: 0 }),
};
for (const name of tabs) {
  tabBar.append(h("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": `panel-${name}`, onclick: () => look({ tab: name === "list" ? "" : name }) }, TITLES[name]));
}
tabBar.addEventListener("keydown", (event) => {
  if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
  const at = tabs.indexOf((view.tab || "list") as (typeof tabs)[number]);
  const next = tabs[(at + (event.key === "ArrowRight" ? 1 : tabs.length - 1)) % tabs.length] ?? "list";
  look({ tab: next === "list" ? "" : next });
  byId(`tab-${next}`).focus();
});
byId("side").append(tabBar, ...Object.values(panels));

const zoomButton = (label: string, text: string, act: () => void) => h("button", { type: "button", "aria-label": label, title: label, onclick: act }, text);
byId("stage").append(
  h(
    "div",
    { class: "zoom", role: "group", "aria-label": "Drawing" },
    zoomButton("Nearer", "+", () => drawing.scaleBy(1.4)),
    zoomButton("Farther", "−", () => drawing.scaleBy(1 / 1.4)),
    zoomButton("Everything", "⤢", () => drawing.fit()),
    zoomButton("Save as a picture", "⤓", savePicture),
  ),
);

function savePicture(): void {
  const url = URL.createObjectURL(new Blob([drawing.picture()], { type: "image/svg+xml" }));
  h("a", { href: url, download: `${store.host || "network"}.svg` }).click();
  URL.revokeObjectURL(url);
}

function toggle(id: string): void {
  if (toggled.has(id)) toggled.delete(id);
  else toggled.add(id);
  render();
}

function choose(id: string | undefined): void {
  look({ select: id ?? "" }, true);
}

/** Another view: in the address, and on the page. */
function look(change: Partial<place.View>, isStep = false): void {
  view = { ...view, ...change };
  place.write(view, isStep);
  render();
  if (change.tab === "doctor") doctor.look();
  if (change.select && scene) drawing.reveal(scene.owner.get(view.select) ?? view.select);
}

function found(text: string): Set<string> | undefined {
  if (!text || !scene) return undefined;
  const ids = new Set<string>();
  for (const space of store.spaces.values()) {
    const isIt = [space.name, space.owner, space.container, space.unit, ...space.networks].some((one) => one?.toLowerCase().includes(text));
    for (const link of space.links) {
      const fits = isIt || [link.name, link.mac, link.alias, link.what, ...link.addresses].some((one) => one?.toLowerCase().includes(text));
      const owner = fits && scene.owner.get(key(space.id, link.index));
      if (owner) ids.add(owner);
    }
  }
  return ids;
}

function render(): void {
  const started = performance.now();
  scene = sceneOf(store.spaces, (view.group || "network") as Grouping);
  const layout = layoutOf(scene, (one) => one.cards.length > LARGE !== toggled.has(one.id));
  drawing.show(scene, layout);
  const filter = view.q.trim().toLowerCase();
  mark();
  tree.show(scene, filter);
  tree.select(view.select || undefined);
  group.value = view.group;
  const tab = view.tab || "list";
  for (const name of tabs) {
    const isShown = name === tab;
    panels[name].hidden = !isShown;
    const button = byId(`tab-${name}`);
    button.setAttribute("aria-selected", String(isShown));
    button.tabIndex = isShown ? 0 : -1;
  }
  if (tab === "changes") renderChanges();
  void explain.show(view, false);
  void details.show(view.select || undefined);
  performance.measure("render", { start: started });
}

function mark(): void {
  const isAsked = view.from && view.to && (view.tab === "explain" || !view.tab);
  const path = isAsked && scene ? explain.path(scene.owner) : [];
  drawing.mark({ selected: view.select || undefined, found: found(view.q.trim().toLowerCase()), path, blocked: explain.isBlocked });
}

function renderChanges(): void {
  const signs: Record<string, string> = { added: "+", removed: "−", changed: "~" };
  const rows = store.changes.toReversed().map((change) =>
    h(
      "li",
      { class: change.act },
      h("time", { dateTime: new Date(change.time * 1000).toISOString() }, new Date(change.time * 1000).toLocaleTimeString("en-GB")),
      h("span", { class: "sign", "aria-label": change.act }, signs[change.act] ?? ""),
      h("span", {}, h("b", {}, change.name), ` ${change.kind} ${change.what}`),
    ),
  );
  panels.changes.replaceChildren(rows.length ? h("ul", { class: "changes" }, ...rows) : h("p", { class: "soft" }, "Nothing has changed since the server began."));
}

/** Says what has changed, shortly: somebody listens to it. */
let unsaid: Change[] = [];
function say(changes: Change[]): void {
  if (!changes.length) return;
  if (!unsaid.length) {
    setTimeout(() => {
      const [first] = unsaid;
      const text = unsaid.length === 1 && first ? `${first.name}: ${first.kind} ${first.act}, ${first.what}` : `${count(unsaid.length, "change")}: ${summary(unsaid)}`;
      byId("live").textContent = text;
      unsaid = [];
    }, 400);
  }
  unsaid = [...unsaid, ...changes];
}

function summary(changes: Change[]): string {
  const kinds = Map.groupBy(changes, (change) => `${change.kind} ${change.act}`);
  return [...kinds].map(([kind, some]) => `${some.length} ${kind}`).join(", ");
}

function paintAs(name: string): void {
  theme.value = name;
  theme.textContent = { auto: "◐", light: "☀", dark: "☾" }[name] ?? "";
  const label = `Colours: ${name}`;
  theme.setAttribute("aria-label", label);
  theme.title = label;
  document.documentElement.dataset["theme"] = name;
  localStorage.setItem("theme", name);
  drawing.recolor();
}

store.addEventListener("spaces", (event) => {
  const changes = (event as CustomEvent<Change[]>).detail;
  render();
  byId("host").textContent = store.host;
  document.title = `${store.host} – Ropewalk`;
  const ids = changes.filter((change) => change.kind !== "neighbour").map((change) => {
    const owner = change.link === null ? undefined : scene?.owner.get(key(change.space, change.link));
    return owner ?? `c${change.space}`;
  });
  drawing.glow(new Set(ids));
  say(changes);
  explain.suggest();
  void explain.show(view, true);
  if (view.tab === "doctor" || !changes.length) doctor.look();
});
store.addEventListener("rates", () => {
  drawing.pass(store.rates);
  details.pass();
});
store.addEventListener("status", () => {
  const texts = { connecting: "connecting", live: "live", offline: "offline, trying again", refused: "not admitted: open the address that ropewalk ui prints" };
  byId("status").dataset["status"] = store.status;
  byId("status-text").textContent = texts[store.status];
});
addEventListener("popstate", () => {
  view = place.read();
  search.value = view.q;
  render();
});
addEventListener("keydown", (event) => {
  const isTyping = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
  if (event.key === "/" && !isTyping) {
    event.preventDefault();
    search.focus();
  } else if (event.key === "Escape" && view.select) {
    choose(undefined);
  }
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawing.recolor());
paintAs(localStorage.getItem("theme") ?? "auto");
store.connect();

// What tests look at.
Object.assign(window, { ropewalk: { store, drawing } });
