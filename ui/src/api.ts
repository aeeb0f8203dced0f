// What the server says. Written by `cargo xtask docs`; never by hand.

/** A host as it is. */
export interface State {
  /** Grows with each change. */
  version: number;
  /** The name of the host. */
  host: string;
  /** Its network namespaces; the own one is the first. */
  spaces: Space[];
  /** What changed last. */
  changes: Change[];
}

/** What has changed since the version before. */
export interface Patch {
  /** As in the state. */
  version: number;
  /** Namespaces that are new or other than before, as a whole. */
  spaces: Space[];
  /** Inodes of namespaces that are gone. */
  gone: number[];
  /** The same in words. */
  changes: Change[];
}

/** A network namespace. */
export interface Space {
  /** Its inode. */
  id: number;
  /** Its name, for people. */
  name: string;
  /** Whether it is the one of the host. */
  own: boolean;
  /** The oldest process in it. */
  owner: string | null;
  /** Who runs the container: docker, podman and the like. */
  runtime: string | null;
  /** The container's number. */
  container: string | null;
  /** The systemd unit. */
  unit: string | null;
  /** Networks on record. */
  networks: string[];
  /** Where it is mounted. */
  paths: string[];
  /** Why it could not be read. */
  error: string | null;
  /** Its links. */
  links: Link[];
}

/** A link. */
export interface Link {
  /** Its number in its namespace. */
  index: number;
  /** Its name. */
  name: string;
  /** Its kind: veth, bridge, device. */
  kind: string;
  /** What it is, with what tells it from others of its kind. */
  what: string;
  /** Whether packets pass: up, down, no carrier. */
  state: string;
  /** Whether it is the loopback. */
  loopback: boolean;
  /** The largest packet in bytes. */
  mtu: number;
  /** Its hardware address. */
  mac: string | null;
  /** A text that somebody left on it. */
  alias: string | null;
  /** Its addresses with their lengths. */
  addresses: string[];
  /** The link that it is a part of. */
  master: number | null;
  /** The other end of the pair. */
  peer: End | null;
  /** The link that it stands on. */
  lower: End | null;
}

/** A link somewhere. */
export interface End {
  /** The inode of its namespace. */
  space: number;
  /** Its index there. */
  link: number;
}

/** Something that changed. */
export interface Change {
  /** Seconds since 1970. */
  time: number;
  /** The inode of the namespace. */
  space: number;
  /** The name of the namespace. */
  name: string;
  /** added, removed or changed. */
  act: string;
  /** link, address, route and so on. */
  kind: string;
  /** The link that it belongs to. */
  link: number | null;
  /** In words. */
  what: string;
}

/** What passes links. */
export interface Rates {
  /** Seconds since 1970. */
  time: number;
  /** All links that are not idle. */
  links: Rate[];
}

/** What passes a link in a second. */
export interface Rate {
  /** The inode of its namespace. */
  space: number;
  /** Its index. */
  link: number;
  /** Bytes in. */
  rx: number;
  /** Bytes out. */
  tx: number;
}

/** What else is in a namespace, in words. */
export interface Detail {
  /** Its inode. */
  id: number;
  /** Its routes. */
  routes: Line[];
  /** Its routing rules. */
  rules: Line[];
  /** Who is where. */
  neighbours: Line[];
  /** Its queues. */
  queues: Line[];
  /** Its packet filter. */
  tables: Table[];
  /** What could not be read. */
  gaps: string[];
  /** What passed each link. */
  counters: Counted[];
}

/** A line of text about a link or about none. */
export interface Line {
  /** The link's index. */
  link: number | null;
  /** In words. */
  text: string;
}

/** A table of the packet filter. */
export interface Table {
  /** Family and name. */
  name: string;
  /** Its chains. */
  chains: Chain[];
}

/** A chain. */
export interface Chain {
  /** Its name. */
  name: string;
  /** Where packets enter it, in words. */
  entered: string | null;
  /** Its rules. */
  rules: string[];
}

/** What passed a link since it was made. */
export interface Counted {
  /** Its index. */
  link: number;
  /** Bytes in. */
  rx: number;
  /** Bytes out. */
  tx: number;
  /** Packets that were dropped. */
  dropped: number;
  /** Packets that were wrong. */
  errors: number;
}

/** Where a packet would go, and what would become of it. */
export interface Explanation {
  /** passes, leaves, stopped and so on. */
  outcome: string;
  /** As it is sent. */
  sent: Packet;
  /** Its way. */
  way: Journey;
  /** The way of the answer, if there is one. */
  back: Journey | null;
}

/** A packet. */
export interface Packet {
  /** From. */
  source: string;
  /** To. */
  destination: string;
  /** Its protocol. */
  protocol: string;
  /** The port to. */
  destinationPort: number | null;
}

/** A way through namespaces. */
export interface Journey {
  /** What happens, one after the other. */
  steps: Step[];
  /** How it ends. */
  end: Arrival;
}

/** Something that happens to a packet. */
export interface Step {
  /** enters, route, rules, neighbour, bridge, crosses or note. */
  kind: string;
  /** Where. */
  namespace: Place | null;
  /** The link: of a route, of a neighbour, or where it comes in. */
  link?: Point | null;
  /** The route that is taken. */
  route?: string | null;
  /** Who is next. */
  gateway?: string | null;
  /** Where in the packet filter. */
  hook?: string;
  /** The chains that were asked. */
  chains?: string[];
  /** What rules have done. */
  deeds?: Deed[];
  /** What the packet becomes. */
  becomes?: Packet | null;
  /** Whom a neighbour is asked for. */
  address?: string;
  /** Where that is. */
  mac?: string | null;
  /** How it is known. */
  how?: string;
  /** The bridge. */
  bridge?: Point | null;
  /** Where from, of a bridge or a pair. */
  from?: Point | null;
  /** Where to. */
  to?: Point | null;
  /** Why a bridge sends it there. */
  why?: string;
  /** A note. */
  text?: string;
}

/** A namespace. */
export interface Place {
  /** Its inode. */
  inode: number;
  /** Its name. */
  name: string;
}

/** A link somewhere. */
export interface Point {
  /** The inode of its namespace. */
  namespace: number | null;
  /** Its index. */
  link: number;
  /** Its name. */
  name: string | null;
}

/** What a rule has done. */
export interface Deed {
  /** accepts, drops and so on. */
  action: string;
  /** The rule. */
  rule: RuleAt;
}

/** A rule of the packet filter. */
export interface RuleAt {
  /** Its family. */
  family: string;
  /** Its table. */
  table: string;
  /** Its chain. */
  chain: string;
  /** In words. */
  text: string;
  /** What somebody noted. */
  comment: string | null;
}

/** How a way ends. */
export interface Arrival {
  /** delivered, left, stopped or unknown. */
  kind: string;
  /** Where it is delivered or leaves. */
  at?: Point | null;
  /** Where it stops. */
  namespace?: Place | null;
  /** Why it stops. */
  reason?: string;
  /** The rule that stops it. */
  rule?: RuleAt | null;
  /** The command that shows it. */
  shownBy?: string | null;
  /** The command that would change it. */
  changedBy?: string | null;
}

/** Something that is wrong with a host. */
export interface Finding {
  /** What was looked for. */
  check: string;
  /** error, warning or note. */
  severity: string;
  /** What it means. */
  meaning: string;
  /** What it is about. */
  object: string;
  /** The inode of the namespace. */
  namespace: number | null;
  /** The index of the link. */
  link: number | null;
  /** What was read. */
  evidence: string;
  /** What comes of it. */
  consequence: string;
  /** What mends it. */
  command: string;
}
