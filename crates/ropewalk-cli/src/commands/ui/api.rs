//! What the page is told: its documents, and nothing of where they come from.
//!
//! `ui/src/api.ts` is made of this by `cargo xtask docs`.

use serde_json::Value;

use super::others;
use super::shape::{Shape, shapes};

shapes! { own:
    /// A host as it is.
    State {
        /// Grows with each change.
        version: u64,
        /// The name of the host.
        host: String,
        /// Its network namespaces; the own one is the first.
        spaces: Vec<Space>,
        /// What changed last.
        changes: Vec<Change>,
    }

    /// What has changed since the version before.
    Patch {
        /// As in the state.
        version: u64,
        /// Namespaces that are new or other than before, as a whole.
        spaces: Vec<Space>,
        /// Inodes of namespaces that are gone.
        gone: Vec<u64>,
        /// The same in words.
        changes: Vec<Change>,
    }

    /// A network namespace.
    Space {
        /// Its inode.
        id: u64,
        /// Its name, for people.
        name: String,
        /// Whether it is the one of the host.
        own: bool,
        /// The oldest process in it.
        owner: Option<String>,
        /// Who runs the container: docker, podman and the like.
        runtime: Option<String>,
        /// The container's number.
        container: Option<String>,
        /// The systemd unit.
        unit: Option<String>,
        /// Networks on record.
        networks: Vec<String>,
        /// Where it is mounted.
        paths: Vec<String>,
        /// Why it could not be read.
        error: Option<String>,
        /// Its links.
        links: Vec<Link>,
    }

    /// A link.
    Link {
        /// Its number in its namespace.
        index: u32,
        /// Its name.
        name: String,
        /// Its kind: veth, bridge, device.
        kind: String,
        /// What it is, with what tells it from others of its kind.
        what: String,
        /// Whether packets pass: up, down, no carrier.
        state: String,
        /// Whether it is the loopback.
        loopback: bool,
        /// The largest packet in bytes.
        mtu: u32,
        /// Its hardware address.
        mac: Option<String>,
        /// A text that somebody left on it.
        alias: Option<String>,
        /// Its addresses with their lengths.
        addresses: Vec<String>,
        /// The link that it is a part of.
        master: Option<u32>,
        /// The other end of the pair.
        peer: Option<End>,
        /// The link that it stands on.
        lower: Option<End>,
    }

    /// A link somewhere.
    End {
        /// The inode of its namespace.
        space: u64,
        /// Its index there.
        link: u32,
    }

    /// Something that changed.
    Change {
        /// Seconds since 1970.
        time: f64,
        /// The inode of the namespace.
        space: u64,
        /// The name of the namespace.
        name: String,
        /// added, removed or changed.
        act: &'static str,
        /// link, address, route and so on.
        kind: &'static str,
        /// The link that it belongs to.
        link: Option<u32>,
        /// In words.
        what: String,
    }

    /// What passes links.
    Rates {
        /// Seconds since 1970.
        time: f64,
        /// All links that are not idle.
        links: Vec<Rate>,
    }

    /// What passes a link in a second.
    Rate {
        /// The inode of its namespace.
        space: u64,
        /// Its index.
        link: u32,
        /// Bytes in.
        rx: f64,
        /// Bytes out.
        tx: f64,
    }

    /// What else is in a namespace, in words.
    Detail {
        /// Its inode.
        id: u64,
        /// Its routes.
        routes: Vec<Line>,
        /// Its routing rules.
        rules: Vec<Line>,
        /// Who is where.
        neighbours: Vec<Line>,
        /// Its queues.
        queues: Vec<Line>,
        /// Its packet filter.
        tables: Vec<Table>,
        /// What could not be read.
        gaps: Vec<String>,
        /// What passed each link.
        counters: Vec<Counted>,
    }

    /// A line of text about a link or about none.
    Line {
        /// The link's index.
        link: Option<u32>,
        /// In words.
        text: String,
    }

    /// A table of the packet filter.
    Table {
        /// Family and name.
        name: String,
        /// Its chains.
        chains: Vec<Chain>,
    }

    /// A chain.
    Chain {
        /// Its name.
        name: String,
        /// Where packets enter it, in words.
        entered: Option<String>,
        /// Its rules.
        rules: Vec<String>,
    }

    /// What passed a link since it was made.
    Counted {
        /// Its index.
        link: u32,
        /// Bytes in.
        rx: u64,
        /// Bytes out.
        tx: u64,
        /// Packets that were dropped.
        dropped: u64,
        /// Packets that were wrong.
        errors: u64,
    }
}

/// `ui/src/api.ts`.
pub(super) fn module() -> String {
    let head = "// What the server says. Written by `cargo xtask docs`; never by hand.\n";
    format!("{head}{}{}", own(), others::others())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_knows_the_documents_as_they_are() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ui/src/api.ts");
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(text, super::module(), "run `cargo xtask docs`");
    }
}
