// What is known of one namespace or one link: addresses, what passes, routes, rules.

import type { Detail, Link, Space } from "./api";
import { amount, fill, h } from "./dom";
import type { View } from "./place";
import { KEPT_RATES, key, type Speed, type Store } from "./store";

const SVG = "http://www.w3.org/2000/svg";

export class Details {
  private detail: Detail | undefined;
  private shown: string | undefined;

  constructor(private readonly element: HTMLElement, private readonly store: Store, private readonly choose: (id: string | undefined) => void, private readonly look: (change: Partial<View>, isStep?: boolean) => void) {}

  /** The namespace and the link that an id means. */
  find(id: string | undefined): { space: Space; link: Link | undefined } | undefined {
    const [, spaceId, index] = id?.match(/^[cp]?(\d+)(?:\/(\d+))?/) ?? [];
    const space = spaceId ? this.store.space(Number(spaceId)) : undefined;
    return space && { space, link: index ? this.store.link(space.id, Number(index)) : undefined };
  }

  async show(id: string | undefined): Promise<void> {
    const found = this.find(id);
    const isOther = this.shown !== id;
    this.shown = id;
    this.element.hidden = !found;
    if (!found) return;
    if (this.detail?.id !== found.space.id) this.detail = undefined;
    this.render(found.space, found.link);
    if (isOther) this.element.scrollTop = 0;
    const answer = await fetch(`api/namespace?id=${found.space.id}`).catch(() => undefined);
    if (!answer?.ok || this.shown !== id) return;
    this.detail = (await answer.json()) as Detail;
    this.render(found.space, found.link);
  }

  /** Rates go on while the rest stays. */
  pass(): void {
    const found = this.find(this.shown);
    const chart = this.element.querySelector(".chart");
    if (found?.link && chart) chart.replaceWith(this.chart(key(found.space.id, found.link.index)));
  }

  private render(space: Space, link: Link | undefined): void {
    const title = link ? link.name : space.name;
    const subtitle = link ? `in ${space.name}` : space.own ? "this host" : (space.owner ?? "namespace");
    const close = h("button", { type: "button", class: "close", "aria-label": "Close details", onclick: () => this.choose(undefined) }, "×");
    fill(
      this.element,
      h("div", { class: "head" }, h("div", {}, h("h2", {}, title), h("p", { class: "soft" }, subtitle)), close),
      h("p", { class: "ends" }, this.end("Path from here", { from: space.name }), this.end("Path to here", { to: space.name })),
      ...(link ? this.link(space, link) : this.space(space)),
    );
  }

  private link(space: Space, link: Link): (HTMLElement | SVGElement)[] {
    const id = key(space.id, link.index);
    const far = link.peer && this.store.space(link.peer.space);
    const farLink = link.peer && this.store.link(link.peer.space, link.peer.link);
    const master = link.master === null ? undefined : this.store.link(space.id, link.master);
    const lower = link.lower && this.store.link(link.lower.space, link.lower.link);
    const counted = this.detail?.counters.find((one) => one.link === link.index);
    return [
      this.facts([
        ["Kind", link.what],
        ["State", link.state],
        ["MTU", String(link.mtu)],
        ["MAC", link.mac ?? ""],
        ["Other end", farLink && far ? this.go(`${farLink.name} in ${far.name}`, key(far.id, farLink.index)) : ""],
        ["Part of", master ? this.go(master.name, key(space.id, master.index)) : ""],
        ["Stands on", lower && link.lower ? this.go(lower.name, key(link.lower.space, link.lower.link)) : ""],
        ["Namespace", this.go(space.name, `c${space.id}`)],
        ["Note", link.alias ?? ""],
      ]),
      this.list("Addresses", link.addresses),
      h("h3", {}, "What passes"),
      this.chart(id),
      counted
        ? h("p", { class: "soft" }, `In all ${amount(counted.rx)} in, ${amount(counted.tx)} out${counted.dropped ? `, ${counted.dropped} dropped` : ""}${counted.errors ? `, ${counted.errors} wrong` : ""}`)
        : h("p", { class: "soft" }, ""),
      ...this.rest(link.index),
    ];
  }

  private space(space: Space): HTMLElement[] {
    const links = space.links.filter((link) => !link.loopback);
    return [
      this.facts([
        ["Container", [space.runtime, space.container].filter(Boolean).join(" ")],
        ["Unit", space.unit ?? ""],
        ["Process", space.owner ?? ""],
        ["Networks", space.networks.join(", ")],
        ["Path", space.paths.join(" ")],
        ["Inode", String(space.id)],
        ["Not read", space.error ?? ""],
      ]),
      h("h3", {}, "Links"),
      h("ul", { class: "plain" }, ...links.map((link) => h("li", {}, this.go(link.name, key(space.id, link.index)), ` ${[link.what, link.state, ...link.addresses].join(" · ")}`))),
      ...this.rest(undefined),
    ];
  }

  private rest(link: number | undefined): HTMLElement[] {
    const { detail } = this;
    if (!detail) return [h("p", { class: "soft" }, "…")];
    const of = (lines: Detail["routes"]) => lines.filter((line) => link === undefined || line.link === link || line.link === null).map((line) => line.text);
    const tables = detail.tables.map((table) =>
      h(
        "details",
        {},
        h("summary", {}, table.name),
        ...table.chains.flatMap((chain) => [
          h("h4", {}, chain.name, h("span", { class: "soft" }, chain.entered ? ` ${chain.entered}` : "")),
          h("ol", { class: "code" }, ...chain.rules.map((rule) => h("li", {}, rule))),
        ]),
      ),
    );
    return [
      this.list("Routes", of(detail.routes)),
      this.list("Routing rules", detail.rules.map((rule) => rule.text)),
      this.list("Neighbours", of(detail.neighbours)),
      this.list("Queues", of(detail.queues)),
      h("section", {}, ...(tables.length ? [h("h3", {}, "Packet filter"), ...tables] : [])),
      this.list("Not read", detail.gaps),
    ];
  }

  private end(text: string, end: Partial<View>): HTMLElement {
    return h("button", { type: "button", onclick: () => this.look({ ...end, tab: "explain" }, true) }, text);
  }

  private go(text: string, id: string): HTMLElement {
    return h("button", { type: "button", class: "link", "data-to": id, onclick: () => this.choose(id) }, text);
  }

  private facts(facts: [string, string | HTMLElement][]): HTMLElement {
    const told = facts.filter(([, value]) => value !== "");
    return h("dl", {}, ...told.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
  }

  private list(title: string, lines: string[]): HTMLElement {
    if (!lines.length) return h("section", {});
    return h("section", {}, h("h3", {}, title), h("ul", { class: "code" }, ...lines.map((line) => h("li", {}, line))));
  }

  /** The last two minutes. */
  private chart(id: string): SVGElement {
    const past = this.store.history.get(id) ?? [];
    const now: Speed = past.at(-1) ?? { rx: 0, tx: 0 };
    const most = Math.max(1000, ...past.flatMap((speed) => [speed.rx, speed.tx]));
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("class", "chart");
    svg.setAttribute("viewBox", "0 0 320 96");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `In ${amount(now.rx)} per second, out ${amount(now.tx)} per second`);
    const put = (name: string, attributes: Record<string, string | number>, text = "") => {
      const element = document.createElementNS(SVG, name);
      for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, String(value));
      element.textContent = text;
      svg.append(element);
    };
    const line = (name: "rx" | "tx") => past.map((speed, at) => `${((at + KEPT_RATES - past.length) / (KEPT_RATES - 1)) * 320},${78 - (speed[name] / most) * 56}`).join(" ");
    put("line", { x1: 0, y1: 78, x2: 320, y2: 78, class: "axis" });
    put("polyline", { points: line("rx"), class: "rx" });
    put("polyline", { points: line("tx"), class: "tx" });
    put("text", { x: 0, y: 12, class: "rx" }, `↓ in ${amount(now.rx)}/s`);
    put("text", { x: 120, y: 12, class: "tx" }, `↑ out ${amount(now.tx)}/s`);
    put("text", { x: 320, y: 92, class: "soft", "text-anchor": "end" }, `two minutes, up to ${amount(most)}/s`);
    return svg;
  }
}
