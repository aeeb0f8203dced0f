// The same as the drawing, as a list that keys and screen readers can walk: the pattern of a tree
// with one item in the order of tabs. What is closed is made when it is opened.

import { count, h } from "./dom";
import type { Card, Group, Scene, Segment } from "./scene";
import { key } from "./store";
import type { Link, Space } from "./api";

interface Item {
  id: string;
  label: string;
  note?: string;
  bad?: boolean;
  /** Closed from the start, unless somebody has opened it. */
  large?: boolean;
  children: () => Item[];
}

const none = () => [];

export class Tree {
  readonly element = h("ul", { id: "tree", role: "tree", "aria-label": "Namespaces and links", tabIndex: -1 });
  private readonly toggled = new Set<string>();
  private items: Item[] = [];
  private selected: string | undefined;
  private focused: string | undefined;
  private filter = "";
  private html = "";

  constructor(private readonly choose: (id: string) => void) {
    this.element.addEventListener("click", (event) => this.click(event));
    this.element.addEventListener("keydown", (event) => this.press(event));
  }

  show(scene: Scene, filter: string): void {
    this.filter = filter;
    this.items = [
      ...scene.panels.map((panel) => this.panel(panel.space, panel.segments)),
      ...(scene.idle.length ? [{ id: "idle", label: "Not connected", note: count(scene.idle.length, "namespace"), large: true, children: () => scene.idle.map(spaceItem) }] : []),
      ...(scene.unreadable.length ? [{ id: "unreadable", label: "Not read", note: count(scene.unreadable.length, "namespace"), children: () => scene.unreadable.map(spaceItem) }] : []),
    ];
    this.render();
  }

  select(id: string | undefined): void {
    this.selected = id;
    if (id) this.focused = id;
    this.render();
  }

  private panel(space: Space, segments: Segment[]): Item {
    return { id: `p${space.id}`, label: space.name, note: space.own ? "this host" : space.owner === space.name ? "" : (space.owner ?? ""), children: () => segments.map((segment) => this.segment(segment)) };
  }

  private segment(segment: Segment): Item {
    const cards = segment.groups.reduce((sum, group) => sum + group.cards.length, 0);
    const parts = () => segment.parts.map((part) => linkItem(segment.space, part));
    const isLeaf = !cards && !segment.parts.length;
    const open = segment.groups.length === 1 && !segment.groups[0]?.title;
    return {
      id: segment.id,
      label: segment.title,
      note: [segment.about, cards ? count(cards, "container") : ""].filter(Boolean).join(" · "),
      bad: segment.link !== undefined && segment.link.state !== "up",
      large: cards > 60,
      children: isLeaf ? none : () => [...parts(), ...(open ? segment.groups[0]!.cards.map(cardItem) : segment.groups.map(groupItem))],
    };
  }

  private isOpen(item: Item): boolean {
    if (this.filter) return true;
    return this.toggled.has(item.id) === !!item.large;
  }

  private matches(item: Item): boolean {
    return `${item.label} ${item.note ?? ""}`.toLowerCase().includes(this.filter);
  }

  private render(): void {
    const hadFocus = this.element.contains(document.activeElement);
    const rows = this.items.flatMap((item) => this.row(item, 1, false));
    // What has not changed stays: nobody hears it again.
    const html = rows.map((row) => row.outerHTML).join("");
    if (html === this.html) return;
    this.html = html;
    this.element.replaceChildren(...rows);
    const items = this.rows();
    const current = items.find((row) => row.dataset["id"] === this.focused) ?? items[0];
    if (current) {
      current.tabIndex = 0;
      if (hadFocus) current.focus();
    }
  }

  /** The item and what is open below it: one after the other, their levels say what is where. */
  private row(item: Item, level: number, shown: boolean): HTMLElement[] {
    const fits = shown || !this.filter || this.matches(item);
    const children = item.children;
    const open = children !== none && this.isOpen(item);
    const below = open ? children().flatMap((child) => this.row(child, level + 1, fits && !!this.filter)) : [];
    if (!fits && !below.length) return [];
    const arrow = children === none ? "" : open ? "▾" : "▸";
    const row = h(
      "li",
      {
        class: "row",
        style: `--level:${level}`,
        role: "treeitem",
        tabIndex: -1,
        "data-id": item.id,
        "aria-level": level,
        "aria-selected": item.id === this.selected ? "true" : "false",
        "aria-expanded": children === none ? null : String(open),
      },
      h("span", { class: "arrow", "aria-hidden": "true" }, arrow),
      h("span", { class: item.bad ? "name bad" : "name" }, item.label),
      " ",
      h("span", { class: "note" }, item.note ?? ""),
    );
    return [row, ...below];
  }

  private rows(): HTMLElement[] {
    return [...this.element.querySelectorAll<HTMLElement>("[role=treeitem]")];
  }

  private toggle(id: string): void {
    if (this.toggled.has(id)) this.toggled.delete(id);
    else this.toggled.add(id);
    this.focused = id;
    this.render();
  }

  private click(event: MouseEvent): void {
    const target = event.target as HTMLElement;
    const row = target.closest<HTMLElement>("[role=treeitem]");
    const id = row?.dataset["id"];
    if (!row || !id) return;
    this.focused = id;
    if (target.closest(".arrow") && row.ariaExpanded) return this.toggle(id);
    this.choose(id);
  }

  private press(event: KeyboardEvent): void {
    const rows = this.rows();
    const at = rows.findIndex((row) => row === document.activeElement);
    const row = rows[at];
    const id = row?.dataset["id"];
    if (!row || !id) return;
    const go = (to: HTMLElement | null | undefined) => {
      if (!to) return;
      row.tabIndex = -1;
      to.tabIndex = 0;
      this.focused = to.dataset["id"];
      to.focus();
    };
    const expanded = row.getAttribute("aria-expanded");
    const acts: Record<string, () => void> = {
      ArrowDown: () => go(rows[at + 1]),
      ArrowUp: () => go(rows[at - 1]),
      Home: () => go(rows[0]),
      End: () => go(rows.at(-1)),
      ArrowRight: () => (expanded === "false" ? this.toggle(id) : expanded === "true" && go(rows[at + 1])),
      ArrowLeft: () => (expanded === "true" ? this.toggle(id) : go(rows.slice(0, at).findLast((above) => Number(above.ariaLevel) < Number(row.ariaLevel)))),
      Enter: () => this.choose(id),
      " ": () => this.choose(id),
    };
    const act = acts[event.key];
    if (act) {
      event.preventDefault();
      act();
    }
  }
}

function groupItem(group: Group): Item {
  return { id: group.id, label: group.title || "all", note: count(group.cards.length, "container"), large: group.cards.length > 60, children: () => group.cards.map(cardItem) };
}

function cardItem(card: Card): Item {
  return { ...spaceItem(card.space), id: card.id, bad: card.links.every((link) => link.state !== "up"), children: () => card.links.map((link) => linkItem(card.space, link)) };
}

function spaceItem(space: Space): Item {
  const note = space.error ?? [space.networks.join(", "), space.runtime, space.owner].filter(Boolean).join(" · ");
  return { id: `c${space.id}`, label: space.name, note, children: none };
}

function linkItem(space: Space, link: Link): Item {
  const addresses = link.addresses.filter((one) => !one.startsWith("fe80:"));
  const note = [link.what, link.state, ...addresses].join(" · ");
  return { id: key(space.id, link.index), label: link.name, note, bad: link.state !== "up", children: none };
}
