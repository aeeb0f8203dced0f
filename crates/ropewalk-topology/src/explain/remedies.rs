//! The commands that show and change what decides. They are for people to run; nothing here does.

use alloc::{
    format,
    string::{String, ToString},
};

use super::trace::RuleAt;
use crate::{
    model::{FilterFamily, Host},
    shell::{self, command, is_nft_name, sysctl},
};

/// What shows a rule, and what takes it away if that can be said.
pub(super) fn of_rule(host: &Host, rule: &RuleAt) -> (String, Option<String>) {
    let (show, change) = if rule.is_iptables { iptables(rule) } else { nft(rule) };
    let inside = |command: String| shell::inside(host, rule.namespace, &command);
    (inside(show), change.map(inside))
}

fn iptables(rule: &RuleAt) -> (String, Option<String>) {
    let program = match (rule.family == FilterFamily::Ip6, rule.is_legacy) {
        (false, false) => "iptables",
        (true, false) => "ip6tables",
        (false, true) => "iptables-legacy",
        (true, true) => "ip6tables-legacy",
    };
    let (table, chain) = (&*rule.table, &*rule.chain);
    let show = [program, "-t", table, "-nvL", chain, "--line-numbers"];
    let position = rule.position.to_string();
    let change = match rule.handle {
        Some(_) => [program, "-t", table, "-D", chain, &position],
        None => [program, "-t", table, "-P", chain, "ACCEPT"],
    };
    (command(&show), Some(command(&change)))
}

fn nft(rule: &RuleAt) -> (String, Option<String>) {
    let (family, table, chain) = (rule.family.name(), &*rule.table, &*rule.chain);
    if !is_nft_name(table) || !is_nft_name(chain) {
        return (command(&["nft", "-a", "list", "ruleset"]), None);
    }
    let change = match rule.handle.map(|handle| handle.to_string()) {
        Some(handle) => {
            command(&["nft", "delete", "rule", family, table, chain, "handle", &handle])
        }
        None => command(&["nft", "chain", family, table, chain, "{ policy accept; }"]),
    };
    (command(&["nft", "-a", "list", "chain", family, table, chain]), Some(change))
}

/// What shows and sets a sysctl.
pub(super) fn of_setting(
    host: &Host,
    namespace: usize,
    name: &str,
    value: &str,
) -> (String, String) {
    let name = sysctl(&format!("net/{name}"));
    let inside = |words: &[&str]| shell::inside(host, namespace, &command(words));
    (inside(&["sysctl", &name]), inside(&["sysctl", "-w", &format!("{name}={value}")]))
}
