// What is wrong with the host, as the doctor finds it.

import type { Finding } from "./api";
import { count, fill, h } from "./dom";
import { key, type Store } from "./store";

/** Not more often than this, however much changes. */
const REST = 3000;

export class Doctor {
  readonly element = h("div", { class: "doctor" }, h("p", { class: "soft" }, "…"));
  private looked = -REST;
  private waiting = false;

  constructor(private readonly store: Store, private readonly choose: (id: string) => void, private readonly found: (number: number) => void) {}

  /** Looks, now or when enough time has passed. */
  look(): void {
    if (this.waiting) return;
    this.waiting = true;
    setTimeout(() => this.ask(), Math.max(0, this.looked + REST - performance.now()));
  }

  private async ask(): Promise<void> {
    this.waiting = false;
    this.looked = performance.now();
    const answer = await fetch("api/doctor").catch(() => undefined);
    if (!answer) return;
    if (!answer.ok) {
      this.element.replaceChildren(h("p", { class: "bad" }, await answer.text()));
      return;
    }
    const findings = (await answer.json()) as Finding[];
    this.found(findings.filter((finding) => finding.severity !== "note").length);
    fill(
      this.element,
      h("p", { class: "soft", id: "findings-count" }, findings.length ? count(findings.length, "finding") : "Nothing is wrong, as far as can be seen."),
      ...findings.map((finding) => this.finding(finding)),
    );
  }

  private finding(finding: Finding): HTMLElement {
    const space = finding.namespace === null ? undefined : this.store.space(finding.namespace);
    const id = space && (finding.link === null ? `c${space.id}` : key(space.id, finding.link));
    const object = id ? h("button", { type: "button", class: "link", "data-to": id, onclick: () => this.choose(id) }, finding.object) : finding.object;
    return h(
      "article",
      { class: `finding ${finding.severity}` },
      h("h2", {}, h("span", { class: "severity" }, finding.severity), ` ${finding.meaning}`),
      h("p", {}, object),
      h("p", { class: "soft" }, finding.evidence),
      h("p", {}, finding.consequence),
      h("p", { class: "code" }, finding.command),
    );
  }
}
