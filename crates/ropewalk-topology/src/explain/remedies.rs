//! The commands that show and change what decides. They are for people to run; nothing here does.

use alloc::{format, string::String};

use super::trace::RuleAt;
use crate::model::{FilterFamily, Host};

/// A command, as it is run from where the host was looked at.
pub(super) fn inside(host: &Host, namespace: usize, command: &str) -> String {
    let Some(one) = host.namespaces.get(namespace).filter(|one| !one.is_own) else {
        return command.into();
    };
    match (one.paths.first(), &one.owner) {
        (Some(path), _) => match path.strip_prefix("/run/netns/") {
            Some(name) => format!("ip netns exec {name} {command}"),
            None => format!("nsenter --net={path} {command}"),
        },
        (None, Some(owner)) => format!("nsenter -t {} -n {command}", owner.pid),
        (None, None) => command.into(),
    }
}

/// What shows a rule, and what takes it away.
pub(super) fn of_rule(host: &Host, rule: &RuleAt) -> (String, String) {
    let (show, change) = if rule.is_iptables { iptables(rule) } else { nft(rule) };
    (inside(host, rule.namespace, &show), inside(host, rule.namespace, &change))
}

fn iptables(rule: &RuleAt) -> (String, String) {
    let program = match (rule.family == FilterFamily::Ip6, rule.is_legacy) {
        (false, false) => "iptables",
        (true, false) => "ip6tables",
        (false, true) => "iptables-legacy",
        (true, true) => "ip6tables-legacy",
    };
    let (table, chain) = (&rule.table, &rule.chain);
    let show = format!("{program} -t {table} -nvL {chain} --line-numbers");
    let change = match rule.handle {
        Some(_) => format!("{program} -t {table} -D {chain} {}", rule.position),
        None => format!("{program} -t {table} -P {chain} ACCEPT"),
    };
    (show, change)
}

fn nft(rule: &RuleAt) -> (String, String) {
    let place = format!("{} {} {}", rule.family.name(), rule.table, rule.chain);
    let change = match rule.handle {
        Some(handle) => format!("nft delete rule {place} handle {handle}"),
        None => format!("nft chain {place} '{{ policy accept; }}'"),
    };
    (format!("nft -a list chain {place}"), change)
}

/// What shows and sets a sysctl.
pub(super) fn of_setting(
    host: &Host,
    namespace: usize,
    name: &str,
    value: &str,
) -> (String, String) {
    // Names of links may have dots in them, which the slashes keep apart from the rest.
    let name = if name.contains('.') { name.into() } else { name.replace('/', ".") };
    let path = format!("net.{name}").replace("net./", "net/");
    let path = if path.contains('/') { path.replace("net.", "net/") } else { path };
    (
        inside(host, namespace, &format!("sysctl {path}")),
        inside(host, namespace, &format!("sysctl -w {path}={value}")),
    )
}
