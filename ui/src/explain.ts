// Where a packet would go: two ends and a port are asked for, the way is told step by step and
// marked in the drawing.

import type { Arrival, Explanation, Journey, RuleAt, Step } from "./api";
import { fill, h } from "./dom";
import type { View } from "./place";
import { key, type Store } from "./store";

const VERDICTS: Record<string, string> = {
  passes: "It passes, and so does the answer",
  leaves: "It leaves this host",
  "no answer": "It arrives, but the answer does not",
  stopped: "It does not arrive",
  "cannot tell": "Nobody can tell from what was read",
};

export class Explain {
  readonly element = h("div", { class: "explain" });
  private readonly names = h("datalist", { id: "ends" });
  private readonly from = this.field("from", "From", "c1, an address, host");
  private readonly to = this.field("to", "To", "c2, 1.1.1.1");
  private readonly port = this.field("port", "Port", "80, 53/udp, none: ping");
  private readonly answer = h("div", { class: "answer", "aria-live": "polite" });
  private asked = "";
  private explanation: Explanation | undefined;

  constructor(private readonly store: Store, private readonly look: (change: Partial<View>, isStep?: boolean) => void, private readonly changed: () => void) {
    const form = h(
      "form",
      {
        onsubmit: (event: Event) => {
          event.preventDefault();
          this.asked = "";
          this.look({ from: this.from.value.trim(), to: this.to.value.trim(), port: this.port.value.trim() }, true);
        },
      },
      ...[this.from, this.to, this.port].map((input) => h("label", {}, h("span", {}, input.dataset["label"] ?? ""), input)),
      h("button", { type: "submit", class: "primary" }, "Explain"),
      this.names,
    );
    this.element.append(h("p", { class: "soft" }, "Where would a packet go, and what would become of it?"), form, this.answer);
  }

  private field(id: string, label: string, placeholder: string): HTMLInputElement {
    const list = id === "port" ? null : "ends";
    return h("input", { id: `explain-${id}`, placeholder, list, "data-label": label, autocomplete: "off" });
  }

  /** Names that can be asked for. */
  suggest(): void {
    const names = [...this.store.spaces.values()].map((space) => space.name).slice(0, 2000);
    this.names.replaceChildren(...names.map((value) => h("option", { value })));
  }

  /** Asks what the view asks, and again if something has changed. */
  async show(view: View, isNew: boolean): Promise<void> {
    const { from, to, port } = view;
    const question = new URLSearchParams({ from, to, port }).toString();
    if (this.asked === question && !isNew) return;
    if (this.asked !== question) {
      this.from.value = from;
      this.to.value = to;
      this.port.value = port;
    }
    this.asked = question;
    if (!from || !to) {
      this.explanation = undefined;
      this.answer.replaceChildren();
      return;
    }
    const answer = await fetch(`api/explain?${question}`).catch(() => undefined);
    if (!answer || this.asked !== question) return;
    if (answer.ok) {
      this.explanation = (await answer.json()) as Explanation;
      this.render(this.explanation);
    } else {
      this.explanation = undefined;
      fill(this.answer, h("p", { class: "verdict bad" }, await answer.text()));
    }
    this.changed();
  }

  /** The boxes on the way, by what shows each link. */
  path(owner: Map<string, string>): string[] {
    const { explanation } = this;
    if (!explanation) return [];
    const ids: string[] = [];
    const add = (space: number | null | undefined, link: number | undefined) => {
      if (space === null || space === undefined) return;
      const id = owner.get(key(space, link ?? -1)) ?? (owner.has(key(space, 1)) ? undefined : this.cardOf(space, owner));
      if (id && ids.at(-1) !== id) ids.push(id);
    };
    for (const step of explanation.way.steps) {
      for (const point of [step.from, step.link, step.bridge, step.to]) if (point) add(point.namespace, point.link);
      if (!ids.length && step.namespace) add(step.namespace.inode, undefined);
    }
    const { end } = explanation.way;
    if (end.at) add(end.at.namespace, end.at.link);
    else if (end.namespace && end.namespace.inode !== explanation.way.steps.at(-1)?.namespace?.inode) add(end.namespace.inode, undefined);
    return ids;
  }

  get isBlocked(): boolean {
    return this.explanation !== undefined && !["passes", "leaves"].includes(this.explanation.outcome);
  }

  private cardOf(space: number, owner: Map<string, string>): string | undefined {
    const link = this.store.space(space)?.links.find((one) => owner.has(key(space, one.index)));
    return link && owner.get(key(space, link.index));
  }

  private render(explanation: Explanation): void {
    const { sent, way, back, outcome } = explanation;
    const good = ["passes", "leaves"].includes(outcome);
    const port = sent.destinationPort === null ? "" : ` port ${sent.destinationPort}`;
    fill(
      this.answer,
      h("p", { class: good ? "verdict good" : "verdict bad", id: "verdict", "data-outcome": outcome }, `${good ? "✓" : "✗"} ${VERDICTS[outcome] ?? outcome}`),
      h("p", { class: "soft" }, `${sent.protocol}${port}, ${sent.source} → ${sent.destination}`),
      h("h2", {}, "The way"),
      ...this.journey(way),
      ...(back ? [h("h2", {}, "The answer"), ...this.journey(back)] : []),
    );
  }

  private journey(journey: Journey): HTMLElement[] {
    const places: HTMLElement[] = [];
    let here: number | undefined;
    let list = h("ol", { class: "steps" });
    for (const step of journey.steps) {
      if (step.namespace && step.namespace.inode !== here) {
        here = step.namespace.inode;
        list = h("ol", { class: "steps" });
        const id = `c${here}`;
        places.push(h("h3", {}, h("button", { type: "button", class: "link", "data-to": id, onclick: () => this.look({ select: id }, true) }, step.namespace.name)), list);
      }
      list.append(...lines(step).map((line) => h("li", {}, line)));
    }
    return [...places, ending(journey.end)];
  }
}

/** A step in words. */
function lines(step: Step): string[] {
  const link = step.link?.name ? ` by ${step.link.name}` : "";
  switch (step.kind) {
    case "enters":
      return [`comes in${link}`];
    case "route":
      return [`route ${step.route ?? "for itself"}${step.gateway ? `, next ${step.gateway}` : ""}`];
    case "rules": {
      const deeds = (step.deeds ?? []).map((deed) => `${step.hook}: ${deed.action} ${ruleText(deed.rule)}`);
      const becomes = step.becomes ? [`becomes ${step.becomes.source} → ${step.becomes.destination}${step.becomes.destinationPort === null ? "" : `:${step.becomes.destinationPort}`}`] : [];
      const asked = deeds.length || !step.chains?.length ? [] : [`${step.hook}: nothing against it in ${step.chains.join(", ")}`];
      return [...deeds, ...asked, ...becomes];
    }
    case "neighbour":
      return [`${step.address} ${step.mac ? `is at ${step.mac}` : `is looked for`}${step.how ? ` (${step.how})` : ""}`];
    case "bridge":
      return [`bridge ${step.bridge?.name ?? ""}: to ${step.to?.name ?? "itself"}${step.why ? `, ${step.why}` : ""}`];
    case "crosses":
      return [`crosses from ${step.from?.name ?? "?"} to ${step.to?.name ?? "?"}`];
    default:
      return step.text ? [step.text] : [];
  }
}

function ruleText(rule: RuleAt): string {
  return `${rule.text} (${rule.family} ${rule.table}, ${rule.chain}${rule.comment ? `, “${rule.comment}”` : ""})`;
}

function ending(end: Arrival): HTMLElement {
  if (end.kind === "delivered") return h("p", { class: "good" }, `● arrives${end.at?.name ? ` by ${end.at.name}` : ""}`);
  if (end.kind === "left") return h("p", { class: "good" }, `→ leaves${end.at?.name ? ` by ${end.at.name}` : ""}`);
  return h(
    "div",
    { class: "stop" },
    h("p", { class: "bad" }, `${end.kind === "unknown" ? "?" : "✗"} ${end.reason ?? ""}`),
    end.rule && h("p", { class: "code" }, ruleText(end.rule)),
    end.shownBy && h("p", {}, "shown by ", h("code", {}, end.shownBy)),
    end.changedBy && h("p", {}, "changed by ", h("code", {}, end.changedBy)),
  );
}
