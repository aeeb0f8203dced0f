//! The firewall in the layout of the reference plugin's iptables back end.

use std::net::IpAddr;

use ropewalk_addr::{Family, IfName, Prefix};
use ropewalk_netstate::{
    Desired, Lifetime, Place,
    resource::{IptablesChain, IptablesRule, iptables::Position},
};

use super::{
    config::{Config, IngressPolicy},
    of_family,
};

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
        let mut rules = Rules { desired, family };
        rules.shared(&config.admin_chain);
        for ip in addresses {
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
            Rules { desired, family }.bridge(policy, bridge);
        }
    }
}

/// Declares the rules of the addresses alone.
pub(crate) fn declare_addresses(desired: &mut Desired, addresses: &[IpAddr], lifetime: Lifetime) {
    for ip in addresses {
        Rules { desired, family: Family::of(*ip) }.address(*ip, lifetime);
    }
}

struct Rules<'a> {
    desired: &'a mut Desired,
    family: Family,
}

impl Rules<'_> {
    fn push(&mut self, lifetime: Lifetime, chain: &str, position: Position, words: &[&str]) {
        let rule = IptablesRule {
            family: self.family,
            table: "filter".into(),
            chain: chain.into(),
            position,
            specification: words.iter().map(ToString::to_string).collect(),
        };
        self.desired.push(Place::Host, lifetime, rule);
    }

    fn chain(&mut self, name: &str) {
        let chain = IptablesChain {
            family: self.family,
            table: "filter".into(),
            name: name.into(),
            referenced_from: Vec::new(),
        };
        self.desired.push(Place::Host, Lifetime::Shared, chain);
    }

    fn shared(&mut self, admin_chain: &str) {
        self.chain(FORWARD);
        self.chain(admin_chain);
        let comment = ["-m", "comment", "--comment"];
        let jump = [&comment[..], &["CNI firewall plugin rules", "-j", FORWARD]].concat();
        self.push(Lifetime::Shared, "FORWARD", Position::First, &jump);
        let admin = ["CNI firewall plugin admin overrides", "-j", admin_chain];
        let jump = [&comment[..], &admin].concat();
        self.push(Lifetime::Shared, FORWARD, Position::First, &jump);
    }

    fn address(&mut self, ip: IpAddr, lifetime: Lifetime) {
        let ip = Prefix::host(ip).to_string();
        let answers =
            ["-d", &ip, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"];
        self.push(lifetime, FORWARD, Position::Last, &answers);
        self.push(lifetime, FORWARD, Position::Last, &["-s", &ip, "-j", "ACCEPT"]);
    }

    /// The last rule of each stage returns; a bridge's rules go before it.
    fn bridge(&mut self, policy: IngressPolicy, bridge: &str) {
        let both = "CNI firewall plugin rules (ingressPolicy: same-bridge|isolated)";
        let own = format!("CNI firewall plugin rules (ingressPolicy: {})", policy.name());
        let (shared, first, last) = (Lifetime::Shared, Position::First, Position::Last);
        let comment = |text| ["-m", "comment", "--comment", text];
        self.chain(STAGE_1);
        self.chain(STAGE_2);
        self.push(shared, "FORWARD", first, &[&comment(both)[..], &["-j", STAGE_1]].concat());
        for stage in [STAGE_1, STAGE_2] {
            self.push(shared, stage, last, &[&comment(both)[..], &["-j", "RETURN"]].concat());
        }
        let leaves = ["-i", bridge, "!", "-o", bridge];
        let leaves = [&leaves[..], &comment(both), &["-j", STAGE_2]].concat();
        self.push(shared, STAGE_1, first, &leaves);
        if policy == IngressPolicy::Isolated {
            let within = ["-i", bridge, "-o", bridge];
            let within = [&within[..], &comment(&own), &["-j", "DROP"]].concat();
            self.push(shared, STAGE_1, first, &within);
        }
        let enters = [&["-o", bridge][..], &comment(both), &["-j", "DROP"]].concat();
        self.push(shared, STAGE_2, first, &enters);
    }
}
