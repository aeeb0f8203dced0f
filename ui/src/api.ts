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
