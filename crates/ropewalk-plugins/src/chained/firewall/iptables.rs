//! The firewall in the layout of the reference plugin's iptables back end.

use std::net::IpAddr;

use ropewalk_addr::{Family, IfName, Prefix};
use ropewalk_netstate::{Desired, Lifetime, resource::iptables::Position};

use super::{
    config::{Config, IngressPolicy},
    of_family,
};
use crate::feature::iptables::Table;

const FORWARD: &str = "CNI-FORWARD";
const STAGE_1: &str = "CNI-ISOLATION-STAGE-1";
const STAGE_2: &str = "CNI-ISOLATION-STAGE-2";

/// Declares the rules of the addresses and, with a policy, of the bridge.
pub(crate) fn declare(
    desired: &mut Desired,
    config: &Config,
    addresses: &[IpAddr],
    policy: Option<&(IngressPolicy, IfName)>,
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
        if let Some((policy, bridge)) = policy {
            rules.bridge(*policy, bridge);
        }
    }
}

/// Declares the rules of the bridge alone, where somebody else accepts.
pub(crate) fn declare_apart(
    desired: &mut Desired,
    addresses: &[IpAddr],
    policy: IngressPolicy,
    bridge: &IfName,
) {
    for family in [Family::V4, Family::V6] {
        if !of_family(addresses, family).is_empty() {
            Rules::new(desired, family).bridge(policy, bridge);
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

    /// The last rule of each stage returns; a bridge's rules go before it.
    fn bridge(&mut self, policy: IngressPolicy, bridge: &str) {
        let both = "CNI firewall plugin rules (ingressPolicy: same-bridge|isolated)";
        let own = format!("CNI firewall plugin rules (ingressPolicy: {})", policy.name());
        let (shared, first, last) = (Lifetime::Shared, Position::First, Position::Last);
        let comment = |text| ["-m", "comment", "--comment", text];
        self.0.shared_chain(STAGE_1);
        self.0.shared_chain(STAGE_2);
        self.0.rule(shared, "FORWARD", first, &[&comment(both)[..], &["-j", STAGE_1]].concat());
        for stage in [STAGE_1, STAGE_2] {
            self.0.rule(shared, stage, last, &[&comment(both)[..], &["-j", "RETURN"]].concat());
        }
        let leaves = ["-i", bridge, "!", "-o", bridge];
        let leaves = [&leaves[..], &comment(both), &["-j", STAGE_2]].concat();
        self.0.rule(shared, STAGE_1, first, &leaves);
        if policy == IngressPolicy::Isolated {
            let within = ["-i", bridge, "-o", bridge];
            let within = [&within[..], &comment(&own), &["-j", "DROP"]].concat();
            self.0.rule(shared, STAGE_1, first, &within);
        }
        let enters = [&["-o", bridge][..], &comment(both), &["-j", "DROP"]].concat();
        self.0.rule(shared, STAGE_2, first, &enters);
    }
}
