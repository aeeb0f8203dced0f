// What hangs on what: panels are namespaces with networks in them, segments are the networks, cards
// are the namespaces that hang on them. It knows no coordinates.

import type { Link, Space } from "./api";
import { key } from "./store";

/** A namespace that hangs on others. */
export interface Card {
  id: string;
  space: Space;
  links: Link[];
}

/** Cards that belong together. */
export interface Group {
  id: string;
  title: string;
  cards: Card[];
}

/** A bridge with its ports, or another link with what stands on it. */
export interface Segment {
  id: string;
  space: Space;
  /** None for the ends of pairs without a bridge. */
  link: Link | undefined;
  title: string;
  about: string;
  /** Other links in it: uplinks, tunnels. */
  parts: Link[];
  groups: Group[];
}

export interface Panel {
  id: string;
  space: Space;
  segments: Segment[];
}

/** Something that holds two things together, by the keys of links. */
export interface Wire {
  from: string;
  to: string;
}

export interface Scene {
  panels: Panel[];
  /** With nothing but loopback. */
  idle: Space[];
  unreadable: Space[];
  wires: Wire[];
  /** Where a card or a segment is that shows a link. */
  owner: Map<string, string>;
}

export type Grouping = "network" | "owner";

const GIVEN = new Set(["tunl0", "gre0", "gretap0", "erspan0", "sit0", "ip6tnl0", "ip6gre0", "ip_vti0", "ip6_vti0"]);

/** The links worth showing: not loopback, not the tunnels that every namespace has from the start. */
export function shownLinks(space: Space): Link[] {
  return space.links.filter((link) => !link.loopback && !(GIVEN.has(link.name) && link.state === "down" && !link.addresses.length));
}

/** Where a link leads out of its namespace. */
function outward(space: Space, link: Link): { space: number; link: number } | undefined {
  return [link.peer, link.lower].find((end) => end && end.space !== space.id) ?? undefined;
}

function ownerOf(space: Space): string {
  if (space.networks.length) return space.networks.join(", ");
  return space.runtime ?? space.unit ?? "others";
}

/** Which namespaces hold networks; all others hang on them. */
function panelIds(spaces: Map<number, Space>): Set<number> {
  const panels = new Set<number>();
  for (const space of spaces.values()) {
    const links = shownLinks(space);
    const holds = links.some((link) => link.master !== null || !outward(space, link));
    if (space.own || (links.length && holds)) panels.add(space.id);
    for (const link of links) if (link.lower && link.lower.space !== space.id) panels.add(link.lower.space);
  }
  for (const space of spaces.values()) {
    const links = shownLinks(space);
    const hangs = links.every((link) => panels.has(outward(space, link)?.space ?? -1));
    // Of two that hang on each other alone, the first holds the second.
    if (links.length && !hangs) panels.add(space.id);
  }
  return panels;
}

export function sceneOf(spaces: Map<number, Space>, grouping: Grouping): Scene {
  const panelSet = panelIds(spaces);
  const scene: Scene = { panels: [], idle: [], unreadable: [], wires: [], owner: new Map() };
  const cards = new Map<string, Card[]>();
  const ordered = [...spaces.values()].sort((a, b) => Number(b.own) - Number(a.own) || a.name.localeCompare(b.name, "en", { numeric: true }));
  for (const space of ordered) {
    const links = shownLinks(space);
    if (space.error) scene.unreadable.push(space);
    else if (!links.length && !space.own) scene.idle.push(space);
    else if (!panelSet.has(space.id)) {
      const card = { id: `c${space.id}`, space, links };
      const [first, ...others] = links.flatMap((link) => segmentOf(spaces, space, link) ?? []);
      for (const link of links) scene.owner.set(key(space.id, link.index), card.id);
      if (first) {
        const some = cards.get(first);
        if (some) some.push(card);
        else cards.set(first, [card]);
      }
      for (const other of others) scene.wires.push({ from: card.id, to: other });
    }
  }
  for (const space of ordered) {
    if (panelSet.has(space.id) && !space.error) scene.panels.push(panelOf(scene, space, panelSet, cards, grouping));
  }
  for (const panel of scene.panels) wire(scene, panel);
  return scene;
}

/** The segment that a link of a card hangs on. */
function segmentOf(spaces: Map<number, Space>, space: Space, link: Link): string | undefined {
  const end = outward(space, link);
  const far = end && spaces.get(end.space)?.links.find((one) => one.index === end.link);
  if (!end || !far) return undefined;
  if (link.lower) return key(end.space, end.link);
  return far.master === null ? `${end.space}/pairs` : key(end.space, far.master);
}

function panelOf(scene: Scene, space: Space, panels: Set<number>, cards: Map<string, Card[]>, grouping: Grouping): Panel {
  const links = shownLinks(space);
  const holdsCard = (link: Link) => link.peer !== null && !panels.has(link.peer.space);
  const segments: Segment[] = [];
  const add = (id: string, link: Link | undefined, title: string, about: string, parts: Link[]) => {
    const groups = groupsOf(id, cards.get(id) ?? [], grouping);
    segments.push({ id, space, link, title, about, parts, groups });
    for (const part of parts) scene.owner.set(key(space.id, part.index), id);
  };
  for (const link of links) {
    if (link.master !== null || holdsCard(link)) continue;
    const id = key(space.id, link.index);
    scene.owner.set(id, id);
    const ports = links.filter((port) => port.master === link.index);
    for (const port of ports) scene.owner.set(key(space.id, port.index), id);
    const about = [link.what, link.state, ...link.addresses.filter((one) => !one.startsWith("fe80:"))].join(" · ");
    add(id, link, link.name, about, ports.filter((port) => !holdsCard(port)));
  }
  const pairs = links.filter((link) => link.master === null && holdsCard(link));
  if (pairs.length) {
    const id = `${space.id}/pairs`;
    for (const link of pairs) scene.owner.set(key(space.id, link.index), id);
    add(id, undefined, "pairs", "veth pairs without a bridge", []);
  }
  // Networks with many first; what nothing hangs on last.
  const size = (segment: Segment) => segment.groups.reduce((sum, group) => sum + group.cards.length, 0);
  segments.sort((a, b) => size(b) - size(a) || b.parts.length - a.parts.length);
  return { id: `p${space.id}`, space, segments };
}

function groupsOf(segment: string, cards: Card[], grouping: Grouping): Group[] {
  if (!cards.length) return [];
  if (grouping === "network") return [{ id: `${segment}:all`, title: "", cards }];
  const byOwner = Map.groupBy(cards, (card) => ownerOf(card.space));
  return [...byOwner].map(([title, some]) => ({ id: `${segment}:${title}`, title, cards: some }));
}

/** What holds segments together: VLANs and tunnels on links, pairs between panels. */
function wire(scene: Scene, panel: Panel): void {
  for (const link of shownLinks(panel.space)) {
    const from = scene.owner.get(key(panel.space.id, link.index));
    const ends = [link.lower, link.peer && link.peer.space !== panel.space.id ? link.peer : null];
    for (const end of ends) {
      const to = end && scene.owner.get(key(end.space, end.link));
      const isPair = end === link.peer;
      if (!from || !to || from === to || to.startsWith("c")) continue;
      // A pair is met from both its ends.
      if (!isPair || from < to) scene.wires.push({ from, to });
    }
  }
}
