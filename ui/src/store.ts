// What the server has told, kept up to date by its events. It asks for nothing again and again.

import type { Change, Link, Patch, Rate, Rates, Space, State } from "./api";

export type Speed = Pick<Rate, "rx" | "tx">;

/** How many seconds of rates are kept of a link. */
export const KEPT_RATES = 120;

const KEPT_CHANGES = 300;

export const key = (space: number, link: number): string => `${space}/${link}`;

export type Status = "connecting" | "live" | "offline" | "refused";

export class Store extends EventTarget {
  spaces = new Map<number, Space>();
  host = "";
  changes: Change[] = [];
  rates = new Map<string, Speed>();
  history = new Map<string, Speed[]>();
  status: Status = "connecting";
  private version = -1;
  private events: EventSource | undefined;

  connect(): void {
    this.events?.close();
    const events = new EventSource("api/events");
    this.events = events;
    const on = <T>(name: string, act: (data: T) => void) =>
      events.addEventListener(name, (event) => act(JSON.parse((event as MessageEvent).data)));
    on<State>("state", (state) => this.replace(state));
    on<Patch>("patch", (patch) => this.patch(patch));
    on<Rates>("rates", (rates) => this.count(rates));
    events.onerror = () => this.lose();
  }

  space(id: number): Space | undefined {
    return this.spaces.get(id);
  }

  link(space: number, index: number): Link | undefined {
    return this.spaces.get(space)?.links.find((link) => link.index === index);
  }

  private replace(state: State): void {
    this.spaces = new Map(state.spaces.map((space) => [space.id, space]));
    this.version = state.version;
    this.host = state.host;
    this.changes = state.changes;
    this.become("live");
    this.tell("spaces", []);
  }

  private patch(patch: Patch): void {
    if (patch.version !== this.version + 1) return this.connect();
    this.version = patch.version;
    for (const id of patch.gone) this.spaces.delete(id);
    for (const space of patch.spaces) this.spaces.set(space.id, space);
    this.changes = [...this.changes, ...patch.changes].slice(-KEPT_CHANGES);
    this.tell("spaces", patch.changes);
  }

  private count(rates: Rates): void {
    this.rates = new Map(rates.links.map((rate) => [key(rate.space, rate.link), rate]));
    for (const id of new Set([...this.history.keys(), ...this.rates.keys()])) {
      const past = this.history.get(id) ?? [];
      past.push(this.rates.get(id) ?? { rx: 0, tx: 0 });
      if (past.length > KEPT_RATES) past.shift();
      this.history.set(id, past);
      if (past.every((speed) => speed.rx + speed.tx === 0)) this.history.delete(id);
    }
    this.tell("rates", []);
  }

  /** The server may be gone for a moment, or for good; the token may be another one. */
  private async lose(): Promise<void> {
    this.events?.close();
    this.become("offline");
    const answer = await fetch("api/topology", { method: "HEAD" }).catch(() => undefined);
    if (answer?.status === 401) return this.become("refused");
    setTimeout(() => this.connect(), 1000);
  }

  private become(status: Status): void {
    this.status = status;
    this.tell("status", []);
  }

  private tell(name: string, changes: Change[]): void {
    this.dispatchEvent(new CustomEvent(name, { detail: changes }));
  }
}
