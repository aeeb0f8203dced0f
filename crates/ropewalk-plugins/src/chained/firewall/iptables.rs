//! The firewall in the layout of the reference plugin's iptables back end.

use std::net::IpAddr;

use ropewalk_addr::{Family, IfName, Prefix};
use ropewalk_netstate::{Desired, Lifetime, resource::iptables::Position};

use super::{
    Side,
    config::{Config, IngressPolicy},
    of_family,
};
use crate::feature::iptables::Table;

const FORWARD: &str = "CNI-FORWARD";
const STAGE_1: &str = "CNI-ISOLATION-STAGE-1";
const STAGE_2: &str = "CNI-ISOLATION-STAGE-2";
/// The comment of rules that both policies have.
const BOTH: &str = "CNI firewall plugin rules (ingressPolicy: same-bridge|isolated)";

/// Declares the rules of the addresses and, with a policy, of the side.
pub(crate) fn declare(
    desired: &mut Desired,
    config: &Config,
    addresses: &[IpAddr],
    policy: Option<&(IngressPolicy, Side)>,
) {
    for family in [Family::V4, Family::V6] {
        let addresses = of_family(addresses, family);
        if addresses.is_empty() {
            continue;
        }
        let mut rules = Rules::new(desired, family);
        rules.shared(&config.admin_chain);
        for ip in addresses {
            if config.drop_invalid {
                rules.drop_invalid(ip, Lifetime::Attachment);
            }
            rules.address(ip, Lifetime::Attachment);
        }
        if let Some((policy, side)) = policy {
            rules.side(*policy, side);
        }
    }
}

/// Declares the rules of the side alone, where somebody else accepts.
pub(crate) fn declare_apart(
    desired: &mut Desired,
    addresses: &[IpAddr],
    policy: IngressPolicy,
    side: &Side,
) {
    for family in [Family::V4, Family::V6] {
        if !of_family(addresses, family).is_empty() {
            Rules::new(desired, family).side(policy, side);
        }
    }
}

/// Declares the rules that drop what is invalid alone, where somebody else accepts.
pub(crate) fn declare_drops_apart(desired: &mut Desired, config: &Config, addresses: &[IpAddr]) {
    for ip in addresses {
        let mut rules = Rules::new(desired, Family::of(*ip));
        rules.shared(&config.admin_chain);
        rules.drop_invalid(*ip, Lifetime::Attachment);
    }
}

/// Declares every rule that an address may have, alone.
pub(crate) fn declare_addresses(desired: &mut Desired, addresses: &[IpAddr], lifetime: Lifetime) {
    for ip in addresses {
        let mut rules = Rules::new(desired, Family::of(*ip));
        rules.drop_invalid(*ip, lifetime);
        rules.address(*ip, lifetime);
    }
}

/// Declares every rule that the host's end of a container may have, alone.
pub(crate) fn declare_host_end(
    desired: &mut Desired,
    addresses: &[IpAddr],
    link: &IfName,
    lifetime: Lifetime,
) {
    for family in [Family::V4, Family::V6] {
        if !of_family(addresses, family).is_empty() {
            Rules::new(desired, family).link(IngressPolicy::Isolated, link, lifetime);
        }
    }
}

struct Rules<'a>(Table<'a>);

impl<'a> Rules<'a> {
    fn new(desired: &'a mut Desired, family: Family) -> Self {
        Self(Table { desired, family, name: "filter" })
    }

    fn shared(&mut self, admin_chain: &str) {
        self.0.shared_chain(FORWARD);
        self.0.shared_chain(admin_chain);
        let comment = ["-m", "comment", "--comment"];
        let jump = [&comment[..], &["CNI firewall plugin rules", "-j", FORWARD]].concat();
        self.0.rule(Lifetime::Shared, "FORWARD", Position::First, &jump);
        let admin = ["CNI firewall plugin admin overrides", "-j", admin_chain];
        let jump = [&comment[..], &admin].concat();
        self.0.rule(Lifetime::Shared, FORWARD, Position::First, &jump);
    }

    fn address(&mut self, ip: IpAddr, lifetime: Lifetime) {
        let ip = Prefix::host(ip).to_string();
        let answers =
            ["-d", &ip, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"];
        self.0.rule(lifetime, FORWARD, Position::Last, &answers);
        self.0.rule(lifetime, FORWARD, Position::Last, &["-s", &ip, "-j", "ACCEPT"]);
    }

    /// Before the rules that accept.
    fn drop_invalid(&mut self, ip: IpAddr, lifetime: Lifetime) {
        let ip = Prefix::host(ip).to_string();
        for direction in ["-d", "-s"] {
            let invalid = [direction, &ip, "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP"];
            self.0.rule(lifetime, FORWARD, Position::Last, &invalid);
        }
    }

    /// The last rule of each stage returns; those of a link go before it.
    fn side(&mut self, policy: IngressPolicy, side: &Side) {
        let (shared, first, last) = (Lifetime::Shared, Position::First, Position::Last);
        self.0.shared_chain(STAGE_1);
        self.0.shared_chain(STAGE_2);
        self.0.rule(shared, "FORWARD", first, &[&comment(BOTH)[..], &["-j", STAGE_1]].concat());
        for stage in [STAGE_1, STAGE_2] {
            self.0.rule(shared, stage, last, &[&comment(BOTH)[..], &["-j", "RETURN"]].concat());
        }
        self.link(policy, side.link(), side.lifetime());
    }

    fn link(&mut self, policy: IngressPolicy, link: &str, lifetime: Lifetime) {
        let leaves = ["-i", link, "!", "-o", link];
        let leaves = [&leaves[..], &comment(BOTH), &["-j", STAGE_2]].concat();
        self.0.rule(lifetime, STAGE_1, Position::First, &leaves);
        if policy == IngressPolicy::Isolated {
            let own = format!("CNI firewall plugin rules (ingressPolicy: {})", policy.name());
            let within = ["-i", link, "-o", link];
            let within = [&within[..], &comment(&own), &["-j", "DROP"]].concat();
            self.0.rule(lifetime, STAGE_1, Position::First, &within);
        }
        let enters = [&["-o", link][..], &comment(BOTH), &["-j", "DROP"]].concat();
        self.0.rule(lifetime, STAGE_2, Position::First, &enters);
    }
}

fn comment(text: &str) -> [&str; 4] {
    ["-m", "comment", "--comment", text]
}
