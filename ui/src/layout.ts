// Where everything stands. Order in, order out: the same host always looks the same, and one more
// container moves as little as possible.

import type { Card, Group, Panel, Scene, Segment } from "./scene";

export interface Box {
  x: number;
  y: number;
  w: number;
  h: number;
}

export const CARD = { w: 176, head: 25, row: 16, gap: 10, trunk: 16 };
const BUS = 46;
const TITLE = 44;
const GROUP_TITLE = 22;
const PART = 24;
const PAD = 22;
const MOST_ROWS = 3;

/** A group with more is closed until somebody opens it. */
export const LARGE = 1500;

export interface Place<T> extends Box {
  item: T;
}

export interface Layout extends Box {
  panels: Place<Panel>[];
  segments: Place<Segment>[];
  groups: (Place<Group> & { segment: Segment; closed: boolean; columns: number })[];
  cards: (Place<Card> & { segment: Segment; closed?: boolean })[];
  /** By the ids of panels, segments, groups and cards. */
  boxes: Map<string, Box>;
}

export const cardsIn = (segment: Segment) => segment.groups.reduce((sum, group) => sum + group.cards.length, 0);

/** What stands above very many is larger, so that it can be read where all of them are in sight. */
export const swell = (cards: number) => Math.min(4, Math.max(1, Math.sqrt(cards / 60)));
export const busHeight = (segment: Segment) => BUS * swell(cardsIn(segment));
export const titleHeight = (panel: Panel) => TITLE * swell(Math.max(0, ...panel.segments.map(cardsIn)));

const partColumns = (segment: Segment) => Math.min(3, segment.parts.length);
const rowsOf = (card: Card) => Math.min(card.links.length, MOST_ROWS);
export const cardHeight = (rows: number) => CARD.head + rows * CARD.row + 8;

interface Sized {
  w: number;
  h: number;
  put(x: number, y: number): void;
}

/** Puts boxes side by side into rows of about the wanted width. */
function flow(items: Sized[], wanted: number, gap: number): Sized {
  const widest = Math.max(wanted, ...items.map((item) => item.w));
  const spots: [Sized, number, number][] = [];
  let [x, y, row, w] = [0, 0, 0, 0];
  for (const item of items) {
    if (x > 0 && x + item.w > widest) {
      x = 0;
      y += row + gap;
      row = 0;
    }
    spots.push([item, x, y]);
    x += item.w + gap;
    w = Math.max(w, x - gap);
    row = Math.max(row, item.h);
  }
  return { w, h: y + row, put: (left, top) => spots.forEach(([item, dx, dy]) => item.put(left + dx, top + dy)) };
}

const widthFor = (items: Sized[], shape: number) =>
  Math.sqrt(items.reduce((sum, item) => sum + item.w * item.h, 0) * shape);

export function layoutOf(scene: Scene, isClosed: (group: Group) => boolean): Layout {
  const layout: Layout = { x: 0, y: 0, w: 0, h: 0, panels: [], segments: [], groups: [], cards: [], boxes: new Map() };

  const groupBox = (segment: Segment, group: Group): Sized => {
    const closed = isClosed(group);
    const [dx, dy] = [CARD.w + CARD.trunk + CARD.gap, cardHeight(1) + CARD.gap];
    const columns = closed ? 1 : Math.max(1, Math.round(Math.sqrt((group.cards.length * dy * 2) / dx)));
    const title = group.title && !closed ? GROUP_TITLE : 0;
    const lines = Math.ceil(group.cards.length / columns);
    // Each line is as high as its highest card.
    const tops = [title];
    for (let line = 0; line < lines; line += 1) {
      const cards = group.cards.slice(line * columns, (line + 1) * columns);
      tops.push((tops[line] ?? 0) + cardHeight(Math.max(...cards.map(rowsOf))) + CARD.gap);
    }
    const w = Math.min(columns, group.cards.length) * dx;
    const h = closed ? 58 : (tops[lines] ?? title);
    return {
      w: closed ? CARD.w + CARD.trunk + 40 : w,
      h,
      put(x, y) {
        layout.groups.push({ item: group, segment, closed, columns, x, y, w: this.w, h });
        layout.boxes.set(group.id, { x, y, w: this.w, h });
        group.cards.forEach((card, at) => {
          const box = closed
            ? { x: x + CARD.trunk, y: y + 10, w: CARD.w + 30, h: 40 }
            : { x: x + (at % columns) * dx + CARD.trunk, y: y + (tops[Math.floor(at / columns)] ?? 0), w: CARD.w, h: cardHeight(rowsOf(card)) };
          layout.boxes.set(card.id, box);
          if (!closed) layout.cards.push({ item: card, segment, ...box });
        });
      },
    };
  };

  const segmentBox = (segment: Segment): Sized => {
    const groups = segment.groups.map((group) => groupBox(segment, group));
    const inner = flow(groups, widthFor(groups, 2), 18);
    const parts = segment.parts.length ? Math.ceil(segment.parts.length / partColumns(segment)) * PART + 6 : 0;
    const least = Math.max(230, partColumns(segment) * 130);
    const w = Math.max(least, inner.w);
    const bus = busHeight(segment);
    const h = bus + parts + (groups.length ? 16 + inner.h : 0);
    return {
      w,
      h,
      put(x, y) {
        layout.segments.push({ item: segment, x, y, w, h });
        layout.boxes.set(segment.id, { x, y, w, h: bus });
        inner.put(x, y + bus + parts + 16);
      },
    };
  };

  const panelBox = (panel: Panel): Sized => {
    const segments = panel.segments.map(segmentBox);
    const inner = flow(segments, widthFor(segments, 2.6), 34);
    const w = Math.max(260, inner.w + 2 * PAD);
    const title = titleHeight(panel);
    const h = title + inner.h + PAD;
    return {
      w,
      h,
      put(x, y) {
        layout.panels.push({ item: panel, x, y, w, h });
        layout.boxes.set(panel.id, { x, y, w, h });
        inner.put(x + PAD, y + title);
      },
    };
  };

  const panels = scene.panels.map(panelBox);
  const all = flow(panels, widthFor(panels, 2), 40);
  all.put(0, 0);
  return Object.assign(layout, { w: all.w, h: all.h });
}

export function partBox(place: Place<Segment>, at: number): Box {
  const columns = partColumns(place.item);
  const w = (place.w - 6 * (columns - 1)) / columns;
  return { x: place.x + (at % columns) * (w + 6), y: place.y + busHeight(place.item) + 6 + Math.floor(at / columns) * PART, w, h: PART - 4 };
}
