// Draws the layout onto a canvas. Only what is in sight is drawn, and text only where it can be
// read; nothing is drawn while nothing changes.

import { select, type Selection } from "d3-selection";
import { zoom, zoomIdentity, type ZoomBehavior, type ZoomTransform } from "d3-zoom";
import { amount, count } from "./dom";
import { CARD, busHeight, cardsIn, partBox, swell, titleHeight, type Box, type Layout } from "./layout";
import type { Card, Scene } from "./scene";
import { Picture, type Pen } from "./picture";
import { key, type Speed } from "./store";

/** What is marked, by the ids of boxes and the keys of links. */
export interface Marks {
  selected: string | undefined;
  /** What a search has found; nothing is marked without one. */
  found: Set<string> | undefined;
  /** The way of a packet, box by box. */
  path: string[];
  blocked: boolean;
}

export interface Hit {
  kind: "panel" | "segment" | "part" | "group" | "card" | "link";
  id: string;
}

const COLORS = ["ink", "soft", "faint", "panel", "bus", "card", "edge", "line", "accent", "good", "lit", "tile", "bad", "hot", "mark", "on"] as const;

type Colors = Record<(typeof COLORS)[number], string>;

/** Below this scale text of cards cannot be read; below the next one nothing of them can. */
const READABLE = 0.42;
const TILES = 0.2;
const GLOW = 2500;
/** Bytes in a second from which a tile is hot. */
const BUSY = 100_000;
const FONT = "system-ui, sans-serif";

/** A colour of the style sheet on a light page and on a dark one. */
function shades(name: string): readonly [light: string, dark: string] {
  const written = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);
  const [, light, dark] = /light-dark\((.+),(.+)\)/.exec(written) ?? [];
  return light && dark ? [light.trim(), dark.trim()] : [written.trim(), written.trim()];
}

export class Drawing {
  readonly canvas = document.createElement("canvas");
  private readonly canvasContext: CanvasRenderingContext2D;
  private context: Pen;
  private readonly selection: Selection<HTMLCanvasElement, unknown, null, undefined>;
  private readonly zoom: ZoomBehavior<HTMLCanvasElement, unknown>;
  private transform: ZoomTransform = zoomIdentity;
  private scene: Scene | undefined;
  private layout: Layout | undefined;
  private colors = {} as Colors;
  private marks: Marks = { selected: undefined, found: undefined, path: [], blocked: false };
  private rates = new Map<string, Speed>();
  private glowing = new Map<string, number>();
  private waiting = false;
  private fitted = false;
  private moved = false;
  private texts = new Map<string, string>();
  private seen: Box = { x: 0, y: 0, w: 0, h: 0 };

  constructor(private readonly stage: HTMLElement, choose: (hit: Hit | undefined) => void) {
    const context = this.canvas.getContext("2d");
    if (!context) throw new Error("this browser draws no canvas");
    this.canvasContext = context;
    this.context = context;
    this.stage.append(this.canvas);
    this.selection = select(this.canvas);
    this.zoom = zoom<HTMLCanvasElement, unknown>()
      .scaleExtent([0.02, 4])
      .on("zoom", (event) => {
        this.transform = event.transform;
        this.moved ||= !!event.sourceEvent;
        this.draw();
      });
    this.selection.call(this.zoom).on("dblclick.zoom", null);
    this.canvas.addEventListener("click", (event) => choose(this.hit(event)));
    this.canvas.addEventListener("mousemove", (event) => {
      this.canvas.style.cursor = this.hit(event) ? "pointer" : "grab";
    });
    new ResizeObserver(() => this.resize()).observe(this.stage);
    this.recolor();
  }

  show(scene: Scene, layout: Layout): void {
    this.scene = scene;
    this.layout = layout;
    const summary = [
      count(scene.panels.length, "namespace with networks", "namespaces with networks"),
      count(layout.segments.length, "network"),
      count(layout.cards.length, "container or namespace", "containers and namespaces"),
    ].join(", ");
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", `Drawing of ${summary}; the list says the same in words`);
    if (!this.fitted || !this.moved) this.fit();
    this.draw();
  }

  mark(marks: Marks): void {
    this.marks = marks;
    this.draw();
  }

  pass(rates: Map<string, Speed>): void {
    this.rates = rates;
    this.draw();
  }

  /** What has just changed shines for a moment. */
  glow(ids: Iterable<string>): void {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    for (const id of ids) this.glowing.set(id, performance.now());
    this.draw();
  }

  recolor(): void {
    const { theme } = document.documentElement.dataset;
    const isDark = theme === "dark" || (theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
    for (const name of COLORS) this.colors[name] = shades(name)[isDark ? 1 : 0];
    this.draw();
  }

  /** All of it as SVG, near enough to read it. */
  picture(): string {
    const { layout, context, colors, transform, seen } = this;
    if (!layout) return "";
    const picture = new Picture(this.canvasContext);
    const all = [...COLORS, "page"].map((name) => [name, shades(name)] as const);
    const valuesAs = (scheme: 0 | 1) => all.map(([name, pair]) => `--${name}:${pair[scheme]}`).join(";");
    this.context = picture;
    this.colors = Object.fromEntries(COLORS.map((name) => [name, `var(--${name})`])) as Colors;
    this.transform = zoomIdentity;
    this.seen = layout;
    this.paintAll();
    Object.assign(this, { context, colors, transform, seen });
    return picture.file(layout.w, layout.h, valuesAs(0), valuesAs(1));
  }

  fit(): void {
    const { layout } = this;
    const { clientWidth: w, clientHeight: h } = this.stage;
    if (!layout || !w || !h || !layout.w) return;
    const k = Math.min(1.15, (w - 40) / layout.w, (h - 40) / layout.h);
    const to = zoomIdentity.translate((w - layout.w * k) / 2, Math.max(20, (h - layout.h * k) / 2)).scale(k);
    this.selection.call(this.zoom.transform, to);
    this.fitted = true;
    this.moved = false;
  }

  scaleBy(factor: number): void {
    this.moved = true;
    this.selection.call(this.zoom.scaleBy, factor);
  }

  panBy(x: number, y: number): void {
    this.moved = true;
    this.selection.call(this.zoom.translateBy, x / this.transform.k, y / this.transform.k);
  }

  /** Brings a box into sight, and near enough to read it. */
  reveal(id: string): void {
    const box = this.layout?.boxes.get(id);
    const { clientWidth: w, clientHeight: h } = this.stage;
    if (!box || !w) return;
    const { k, x, y } = this.transform;
    const [left, top] = [box.x * k + x, box.y * k + y];
    const inSight = left >= 0 && top >= 0 && left + Math.min(box.w * k, w) <= w && top + Math.min(box.h * k, 80) <= h;
    if (inSight && k >= READABLE) return;
    const scale = Math.max(k, 0.85);
    const to = zoomIdentity.translate(w / 2 - (box.x + Math.min(box.w, 500) / 2) * scale, h / 2 - (box.y + Math.min(box.h, 200) / 2) * scale).scale(scale);
    this.moved = true;
    this.selection.call(this.zoom.transform, to);
  }

  private resize(): void {
    const { clientWidth: w, clientHeight: h } = this.stage;
    const ratio = devicePixelRatio || 1;
    this.canvas.width = w * ratio;
    this.canvas.height = h * ratio;
    this.canvas.style.width = `${w}px`;
    this.canvas.style.height = `${h}px`;
    if (!this.moved) this.fit();
    this.draw();
  }

  private hit(event: MouseEvent): Hit | undefined {
    const { layout } = this;
    if (!layout) return undefined;
    const [x, y] = this.transform.invert([event.offsetX, event.offsetY]);
    const within = (box: Box) => x >= box.x && x <= box.x + box.w && y >= box.y && y <= box.y + box.h;
    const card = layout.cards.find(within);
    if (card) {
      const row = Math.floor((y - card.y - CARD.head) / CARD.row);
      const link = this.transform.k > READABLE && row >= 0 ? card.item.links[row] : undefined;
      return link ? { kind: "link", id: key(card.item.space.id, link.index) } : { kind: "card", id: card.item.id };
    }
    const group = layout.groups.find((one) => one.closed && within({ ...one, y: one.y + 10, h: 40 }));
    if (group) return { kind: "group", id: group.item.id };
    for (const segment of layout.segments) {
      const at = segment.item.parts.findIndex((_, part) => within(partBox(segment, part)));
      const part = segment.item.parts[at];
      if (part) return { kind: "link", id: key(segment.item.space.id, part.index) };
      const bus = { ...segment, h: busHeight(segment.item) };
      const [group] = segment.item.groups;
      if (group && within({ ...bus, x: bus.x + bus.w - bus.h, w: bus.h })) return { kind: "group", id: group.id };
      if (within(bus)) return { kind: "segment", id: segment.item.id };
    }
    const panel = layout.panels.find((one) => within({ ...one, h: titleHeight(one.item) }));
    return panel && { kind: "panel", id: panel.item.id };
  }

  private draw(): void {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.paint();
    });
  }

  private sees(box: Box): boolean {
    const { seen } = this;
    return box.x < seen.x + seen.w && box.x + box.w > seen.x && box.y < seen.y + seen.h && box.y + box.h > seen.y;
  }

  private paint(): void {
    const { canvasContext: c, layout, canvas, transform: t } = this;
    const ratio = devicePixelRatio || 1;
    c.setTransform(1, 0, 0, 1, 0, 0);
    c.clearRect(0, 0, canvas.width, canvas.height);
    if (!layout) return;
    c.setTransform(ratio * t.k, 0, 0, ratio * t.k, ratio * t.x, ratio * t.y);
    this.seen = { x: -t.x / t.k, y: -t.y / t.k, w: canvas.width / ratio / t.k, h: canvas.height / ratio / t.k };
    this.paintAll();
    this.shine();
  }

  private paintAll(): void {
    const { layout } = this;
    if (!layout) return;
    for (const panel of layout.panels.filter((one) => this.sees(one))) this.panel(panel);
    this.wires();
    this.combs();
    for (const segment of layout.segments.filter((one) => this.sees(one))) this.segment(segment);
    for (const group of layout.groups.filter((one) => this.sees(one))) this.group(group);
    this.cards();
    this.path();
  }

  private round(box: Box, radius: number): void {
    this.context.roundRect(box.x, box.y, box.w, box.h, radius);
  }

  private text(text: string, x: number, y: number, size: number, color: string, width: number, weight = 400): void {
    const { context: c } = this;
    c.font = `${weight} ${size}px ${FONT}`;
    c.fillStyle = color;
    c.fillText(this.fitting(text, width, size, weight), x, y);
  }

  /** The text, or so much of it as there is room for. */
  private fitting(text: string, width: number, size: number, weight: number): string {
    const known = `${text}|${Math.round(width)}|${Math.round(size)}|${weight}`;
    let short = this.texts.get(known);
    if (short === undefined) {
      short = text;
      if (this.context.measureText(text).width > width) {
        while (short && this.context.measureText(`${short}…`).width > width) short = short.slice(0, -1);
        short += "…";
      }
      if (this.texts.size > 20_000) this.texts.clear();
      this.texts.set(known, short);
    }
    return short;
  }

  /** The size at which text is read at any scale, as long as its box has room. */
  private size(ordinary: number, most: number): number {
    return Math.min(Math.max(ordinary, 12 / this.transform.k), most);
  }

  private panel(place: Layout["panels"][number]): void {
    const { context: c, colors } = this;
    c.beginPath();
    this.round(place, 18);
    c.fillStyle = colors.panel;
    c.fill();
    c.lineWidth = 1;
    c.strokeStyle = this.marks.selected === place.item.id ? colors.accent : colors.edge;
    c.stroke();
    const { space } = place.item;
    const tall = titleHeight(place.item) / 44;
    const size = this.size(17 * Math.min(tall, 1.5), 22 * tall);
    const line = place.y + 29 * tall;
        const about = [space.own ? "this host" : space.owner === space.name ? "" : space.owner, space.runtime].filter(Boolean).join(" · ");
    this.text(space.name, place.x + 22, line, size, colors.ink, place.w * (about ? 0.6 : 0.9), 650);
    const width = Math.min(c.measureText(space.name).width, place.w * 0.6);
    this.text(about, place.x + 22 + width + size * 0.7, line, size * 0.72, colors.soft, place.w - width - 60);
  }

  private segment(place: Layout["segments"][number]): void {
    const { context: c, colors } = this;
    const { item } = place;
    const tall = swell(cardsIn(item));
    const box = { ...place, h: busHeight(item) };
    const down = item.link !== undefined && item.link.state !== "up";
    const cards = cardsIn(item);
    // A network is a bar; a link that nothing hangs on is as quiet as a card.
    const isNetwork = cards + item.parts.length > 0 || item.link?.kind === "bridge";
    const on = isNetwork ? colors.on : colors.ink;
    c.beginPath();
    this.round(box, 10);
    c.fillStyle = isNetwork ? colors.bus : colors.card;
    c.fill();
    if (!isNetwork) this.outline(box, 10, colors.edge, 1);
    if (this.marks.selected === item.id) this.outline(box, 10, colors.accent, 2.5);
    if (this.marks.found?.has(item.id)) this.outline(box, 10, colors.mark, 3);
    c.beginPath();
    c.arc(place.x + 16 * tall, place.y + 16 * tall, 4.5 * tall, 0, 7);
    c.fillStyle = down ? colors.bad : isNetwork ? colors.lit : colors.good;
    c.fill();
    const shown = item.link ? this.rate(item.space.id, item.link.index) : "";
    const size = this.size(14 * Math.min(tall, 1.4), 17 * tall);
    const left = place.x + 28 * tall;
    this.text(item.title, left, place.y + 21 * tall, size, on, place.w - 40, 650);
    const width = c.measureText(item.title).width;
    const facts = [cards ? count(cards, "container") : "", shown].filter(Boolean).join("   ");
    const begin = left + width + size * 0.8;
    const end = place.x + place.w - (item.groups.length ? 30 : 12) * tall;
    this.text(facts, begin, place.y + 21 * tall, size * 0.8, on, end - begin);
    if (this.transform.k * tall > READABLE * 0.8) this.text(item.about, left, place.y + 37.5 * tall, this.size(11, 12 * tall), isNetwork ? on : colors.soft, place.w - (item.groups.length ? 64 : 40) * tall);
    if (item.groups.length) {
      const closed = this.layout?.groups.find((group) => group.segment === item)?.closed;
      this.text(closed ? "▸" : "▾", place.x + place.w - 24 * tall, place.y + 28 * tall, 15 * tall, on, 40 * tall);
    }
    item.parts.forEach((part, at) => {
      const box = partBox(place, at);
      c.beginPath();
      this.round(box, 6);
      c.fillStyle = colors.card;
      c.fill();
      const id = key(item.space.id, part.index);
      this.outline(box, 6, this.marks.selected === id ? colors.accent : colors.edge, 1);
      if (this.transform.k > READABLE) {
        this.text(`${part.name} ${part.what}`, box.x + 8, box.y + 14, 11, part.state === "up" ? colors.ink : colors.bad, box.w - 14);
      }
    });
  }

  private outline(box: Box, radius: number, color: string, width: number): void {
    const { context: c } = this;
    c.beginPath();
    this.round(box, radius);
    c.strokeStyle = color;
    c.lineWidth = width;
    c.stroke();
  }

  private group(place: Layout["groups"][number]): void {
    const { item } = place;
    if (place.closed) {
      const { context: c, colors } = this;
      const box = { x: place.x + CARD.trunk, y: place.y + 10, w: CARD.w + 30, h: 40 };
      for (const shift of [8, 4, 0]) {
        c.beginPath();
        this.round({ ...box, x: box.x + shift, y: box.y + shift }, 9);
        c.fillStyle = colors.card;
        c.fill();
        c.strokeStyle = colors.edge;
        c.lineWidth = 1;
        c.stroke();
      }
      const title = `${item.title ? `${item.title}: ` : ""}${count(item.cards.length, "container")}`;
      this.text(`▸ ${title}`, box.x + 12, box.y + 25, 13, colors.ink, box.w - 20, 600);
    } else if (item.title) {
      const size = this.size(12, 20);
      this.text(`▾ ${item.title}`, place.x + CARD.trunk, place.y + 14, size, this.colors.soft, place.w - 20, 600);
    }
  }

  /** From each network down, and to each card. */
  private combs(): void {
    const { context: c, layout, colors, transform } = this;
    if (!layout) return;
    c.beginPath();
    for (const place of layout.groups) {
      if (!this.sees({ ...place, y: place.y - 200, h: place.h + 200 })) continue;
      const bus = layout.boxes.get(place.segment.id);
      if (!bus) continue;
      const step = CARD.w + CARD.trunk + CARD.gap;
      const top = bus.y + bus.h;
      for (let column = 0; column < place.columns && column < place.item.cards.length; column += 1) {
        const x = place.x + column * step + 6;
        const last = Math.floor((place.item.cards.length - 1 - column) / place.columns) * place.columns + column;
        const low = layout.boxes.get(place.item.cards[last]?.id ?? "");
        c.moveTo(x, top);
        c.lineTo(x, place.closed ? place.y + 30 : (low?.y ?? top) + 13);
        if (place.closed) c.lineTo(place.x + CARD.trunk, place.y + 30);
      }
    }
    if (transform.k > TILES) {
      for (const card of layout.cards) {
        if (!this.sees({ ...card, x: card.x - 12, w: card.w + 12 })) continue;
        c.moveTo(card.x - 10, card.y + 13);
        c.lineTo(card.x, card.y + 13);
      }
    }
    c.strokeStyle = colors.line;
    c.lineWidth = Math.max(1.5, 0.6 / transform.k);
    c.stroke();
  }

  private wires(): void {
    const { context: c, layout, scene, colors, transform } = this;
    if (!layout || !scene) return;
    c.beginPath();
    for (const wire of scene.wires) this.curve(layout.boxes.get(wire.from), layout.boxes.get(wire.to));
    c.strokeStyle = colors.line;
    c.lineWidth = Math.max(1.5, 0.8 / transform.k);
    c.setLineDash([6, 5]);
    c.stroke();
    c.setLineDash([]);
  }

  private curve(from: Box | undefined, to: Box | undefined): void {
    if (!from || !to) return;
    const [x0, y0, x1, y1] = [from.x + from.w / 2, from.y + from.h / 2, to.x + to.w / 2, to.y + to.h / 2];
    const bend = Math.max(40, Math.abs(y1 - y0) / 2);
    this.context.moveTo(x0, y0);
    this.context.bezierCurveTo(x0, y0 + bend, x1, y1 - bend, x1, y1);
  }

  private cards(): void {
    const { context: c, layout, colors, marks, transform } = this;
    if (!layout) return;
    const cards = layout.cards.filter((card) => this.sees(card));
    const isDown = (card: Card) => card.links.every((link) => link.state !== "up");
    const speedOf = (card: Card) => card.links.reduce((sum, link) => sum + this.speed(card.space.id, link.index), 0);
    const text = transform.k > READABLE;
    // One path for all of a kind: a call for each would take most of the time.
    const fill = (some: typeof cards, color: string) => {
      c.beginPath();
      for (const card of some) {
        if (text) this.round(card, 9);
        else c.rect(card.x, card.y, card.w, card.h);
      }
      c.fillStyle = color;
      c.fill();
    };
    const busy = cards.filter((card) => speedOf(card.item) > BUSY);
    if (text) {
      fill(cards, colors.card);
      c.lineWidth = 1;
      c.strokeStyle = colors.edge;
      c.stroke();
    } else {
      fill(cards.filter((card) => !isDown(card.item)), colors.tile);
      fill(cards.filter((card) => isDown(card.item)), colors.faint);
      fill(busy, colors.hot);
      if (transform.k > TILES * 0.9) {
        const size = Math.min(26, 11 / transform.k);
        for (const card of cards) this.text(card.item.space.name, card.x + 10, card.y + 24 + size * 0.35, size, colors.ink, card.w - 16, 600);
      }
    }
    if (marks.found) {
      for (const card of cards.filter((one) => marks.found?.has(one.item.id))) this.outline(card, 9, colors.mark, Math.max(3, 2 / transform.k));
    }
    for (const card of cards) {
      const chosen = marks.selected === card.item.id || marks.selected?.startsWith(`${card.item.space.id}/`);
      if (chosen) this.outline(card, 9, colors.accent, Math.max(2.5, 2 / transform.k));
      if (text) this.card(card, isDown(card.item));
    }
  }

  private speed(space: number, link: number): number {
    const speed = this.rates.get(key(space, link));
    return speed ? speed.rx + speed.tx : 0;
  }

  /** As text; empty if nothing passes. */
  private rate(space: number, link: number): string {
    const speed = this.speed(space, link);
    return speed > 0 ? `${amount(speed)}/s` : "";
  }

  private card(place: Layout["cards"][number], isDown: boolean): void {
    const { context: c, colors } = this;
    const { space, links } = place.item;
    c.beginPath();
    c.arc(place.x + 13, place.y + 14, 4, 0, 7);
    c.fillStyle = isDown ? colors.bad : colors.good;
    c.fill();
    this.text(space.name, place.x + 23, place.y + 18, 12.5, colors.ink, place.w - 32, 600);
    links.slice(0, 3).forEach((link, row) => {
      const y = place.y + CARD.head + row * CARD.row + 10;
      const address = link.addresses.find((one) => !one.startsWith("fe80:")) ?? link.state;
      const short = address.replace(/\/\d+$/, "");
      const rate = this.rate(space.id, link.index);
      const room = place.w - 20 - (rate ? 58 : 0);
      this.text(`${link.name}  ${short}`, place.x + 10, y, 11, link.state === "up" ? colors.soft : colors.bad, room);
      if (rate) {
        c.textAlign = "right";
        this.text(rate, place.x + place.w - 9, y, 10.5, colors.accent, 60, 600);
        c.textAlign = "left";
      }
      if (this.marks.selected === key(space.id, link.index)) this.outline({ x: place.x + 5, y: y - 12, w: place.w - 10, h: 16 }, 4, colors.accent, 1.5);
    });
  }

  /** The way of a packet, with an arrow at its end or a cross where it ends early. */
  private path(): void {
    const { context: c, colors, marks, transform } = this;
    const points = this.waypoints(marks.path);
    const [first, ...others] = points;
    const last = points.at(-1);
    if (!first || !last) return;
    const width = Math.max(3.5, 3 / transform.k);
    c.beginPath();
    c.moveTo(...first);
    for (const point of others) c.lineTo(...point);
    c.strokeStyle = marks.blocked ? colors.bad : colors.mark;
    c.lineWidth = width;
    c.lineJoin = "round";
    c.stroke();
    for (const point of [first, last]) {
      c.beginPath();
      c.arc(...point, width * 1.4, 0, 7);
      c.fillStyle = colors.panel;
      c.fill();
      c.stroke();
    }
    if (marks.blocked) {
      const arm = width * 2.6;
      c.beginPath();
      c.moveTo(last[0] - arm, last[1] - arm);
      c.lineTo(last[0] + arm, last[1] + arm);
      c.moveTo(last[0] + arm, last[1] - arm);
      c.lineTo(last[0] - arm, last[1] + arm);
      c.stroke();
    }
  }

  /** From a card to the line that leads to its network, and along networks. */
  private waypoints(path: string[]): [number, number][] {
    const points: [number, number][] = [];
    path.forEach((id, at) => {
      const box = this.layout?.boxes.get(id);
      if (!box) return;
      if (id.startsWith("c")) {
        const inside: [number, number] = [box.x + 13, box.y + 14];
        const outside: [number, number] = [box.x - 10, box.y + 14];
        const before = this.layout?.boxes.get(path[at - 1] ?? "");
        const after = this.layout?.boxes.get(path[at + 1] ?? "");
        if (before) points.push([outside[0], before.y + before.h / 2], outside);
        points.push(inside);
        if (after) points.push(outside, [outside[0], after.y + after.h / 2]);
      } else if (!path[at - 1]?.startsWith("c") || (at > 0 && path[at + 1] === undefined)) {
        const last = points.at(-1);
        const x = Math.min(Math.max(last?.[0] ?? 0, box.x + 16), box.x + box.w - 16);
        if (last) points.push([x, last[1]]);
        points.push([x, box.y + box.h / 2]);
      }
    });
    return points;
  }

  private shine(): void {
    const now = performance.now();
    for (const [id, since] of this.glowing) {
      const box = this.layout?.boxes.get(id);
      const left = 1 - (now - since) / GLOW;
      if (left <= 0) {
        this.glowing.delete(id);
      } else if (box && this.sees(box)) {
        this.context.globalAlpha = left;
        this.outline({ x: box.x - 3, y: box.y - 3, w: box.w + 6, h: box.h + 6 }, 12, this.colors.mark, Math.max(3, 3 / this.transform.k));
        this.context.globalAlpha = 1;
      }
    }
    if (this.glowing.size) this.draw();
  }
}
