//! Documents that other commands make and the page shows: `explain` and `doctor`. They are written
//! down here for the page alone; a test holds them against what is really made.

use serde_json::Value;

use super::shape::{Shape, Sometimes, foreign_shapes};

foreign_shapes! { others:
    /// Where a packet would go, and what would become of it.
    Explanation {
        /// passes, leaves, stopped and so on.
        outcome: String,
        /// As it is sent.
        sent: Packet,
        /// Its way.
        way: Journey,
        /// The way of the answer, if there is one.
        back: Option<Journey>,
    }

    /// A packet.
    Packet {
        /// From.
        source: String,
        /// To.
        destination: String,
        /// Its protocol.
        protocol: String,
        /// The port to.
        destinationPort: Option<u32>,
    }

    /// A way through namespaces.
    Journey {
        /// What happens, one after the other.
        steps: Vec<Step>,
        /// How it ends.
        end: Arrival,
    }

    /// Something that happens to a packet.
    Step {
        /// enters, route, rules, neighbour, bridge, crosses or note.
        kind: String,
        /// Where.
        namespace: Option<Place>,
        /// The link: of a route, of a neighbour, or where it comes in.
        link: Sometimes<Option<Point>>,
        /// The route that is taken.
        route: Sometimes<Option<String>>,
        /// Who is next.
        gateway: Sometimes<Option<String>>,
        /// Where in the packet filter.
        hook: Sometimes<String>,
        /// The chains that were asked.
        chains: Sometimes<Vec<String>>,
        /// What rules have done.
        deeds: Sometimes<Vec<Deed>>,
        /// What the packet becomes.
        becomes: Sometimes<Option<Packet>>,
        /// Whom a neighbour is asked for.
        address: Sometimes<String>,
        /// Where that is.
        mac: Sometimes<Option<String>>,
        /// How it is known.
        how: Sometimes<String>,
        /// The bridge.
        bridge: Sometimes<Option<Point>>,
        /// Where from, of a bridge or a pair.
        from: Sometimes<Option<Point>>,
        /// Where to.
        to: Sometimes<Option<Point>>,
        /// Why a bridge sends it there.
        why: Sometimes<String>,
        /// A note.
        text: Sometimes<String>,
    }

    /// A namespace.
    Place {
        /// Its inode.
        inode: u64,
        /// Its name.
        name: String,
    }

    /// A link somewhere.
    Point {
        /// The inode of its namespace.
        namespace: Option<u64>,
        /// Its index.
        link: u32,
        /// Its name.
        name: Option<String>,
    }

    /// What a rule has done.
    Deed {
        /// accepts, drops and so on.
        action: String,
        /// The rule.
        rule: RuleAt,
    }

    /// A rule of the packet filter.
    RuleAt {
        /// Its family.
        family: String,
        /// Its table.
        table: String,
        /// Its chain.
        chain: String,
        /// In words.
        text: String,
        /// What somebody noted.
        comment: Option<String>,
    }

    /// How a way ends.
    Arrival {
        /// delivered, left, stopped or unknown.
        kind: String,
        /// Where it is delivered or leaves.
        at: Sometimes<Option<Point>>,
        /// Where it stops.
        namespace: Sometimes<Option<Place>>,
        /// Why it stops.
        reason: Sometimes<String>,
        /// The rule that stops it.
        rule: Sometimes<Option<RuleAt>>,
        /// The command that shows it.
        shownBy: Sometimes<Option<String>>,
        /// The command that would change it.
        changedBy: Sometimes<Option<String>>,
    }

    /// Something that is wrong with a host.
    Finding {
        /// What was looked for.
        check: String,
        /// error, warning or note.
        severity: String,
        /// What it means.
        meaning: String,
        /// What it is about.
        object: String,
        /// The inode of the namespace.
        namespace: Option<u64>,
        /// The index of the link.
        link: Option<u32>,
        /// What was read.
        evidence: String,
        /// What comes of it.
        consequence: String,
        /// What mends it.
        command: String,
    }
}

#[cfg(test)]
mod tests {
    use ropewalk_topology::explain::{From, Question, TCP, explain};
    use ropewalk_topology::model::{Content, Host, Identity, Namespace};
    use serde_json::{Value, json};

    use super::super::shape::Shape as _;
    use super::{Explanation, Finding};

    fn host() -> Host {
        let namespace = Namespace {
            identity: Identity { device: 4, inode: 7 },
            is_own: true,
            paths: Vec::new(),
            owner: None,
            process_count: 1,
            container: None,
            unit: None,
            attachments: Vec::new(),
            numbers: std::collections::BTreeMap::new(),
            content: Ok(Content::default()),
        };
        Host { namespaces: vec![namespace] }
    }

    #[test]
    fn what_the_others_make_is_what_the_page_knows() {
        let host = host();
        let question = Question {
            from: From::Inside { namespace: 0, address: None },
            destination: std::net::Ipv4Addr::new(10, 0, 0, 1).into(),
            protocol: TCP,
            port: 80,
            source_port: None,
        };
        let trace = explain(&host, &question);
        let document = crate::commands::explain::document(&host, &trace);
        assert_eq!(Explanation::misfit(&document), None, "{document:#}");
        let papers = ropewalk_topology::doctor::Papers::default();
        let findings = ropewalk_topology::doctor::examine(&host, &papers);
        let document = crate::commands::doctor::json(&findings);
        assert_eq!(Vec::<Finding>::misfit(&document), None, "{document:#}");
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let finding = json!([{ "check": 7 }]);
        assert_eq!(Vec::<Finding>::misfit(&finding).as_deref(), Some("check: 7 is no string"));
        assert!(Explanation::misfit(&Value::Null).is_some());
    }
}
