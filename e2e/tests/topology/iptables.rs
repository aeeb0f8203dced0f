//! Rules of iptables, old and new, against what `iptables-save` says of them.

use ropewalk_e2e::{Lab, Value};

use super::{
    compare::{command, namespace, same},
    legacy::list,
    ours::word,
};

/// No namespace of others is made.
const NAMES: &str = "none";

/// Rules with every match and target that is known; a kernel need not have all.
const RULES: &str = r#"
ip link add v0 type veth peer name v1
iptables-legacy -P FORWARD DROP
iptables-legacy -N MINE
iptables-legacy -N EMPTY
iptables-legacy -A INPUT -s 10.0.0.0/8 ! -d 10.1.2.3 -i eth+ -j MINE
iptables-legacy -A INPUT ! -i lo -p udp -m udp ! --sport 53 -g MINE
iptables-legacy -A INPUT -p 47
iptables-legacy -A OUTPUT ! -o v0 ! -s 10.0.0.0/24 ! -p tcp -j DROP
iptables-legacy -A MINE ! -f -j ACCEPT
iptables-legacy -A MINE -f -j RETURN
while read -r rule; do iptables-legacy -A FORWARD $rule || true; done <<'END'
-m comment --comment plain
-p tcp -m tcp ! --sport 5 --dport 80:81 --tcp-option 2 --tcp-flags SYN,ACK SYN
-p icmp -m icmp --icmp-type 3/4
-p icmp -m icmp ! --icmp-type 8
-p tcp -m multiport ! --sports 1,2:4
-p tcp -m multiport --ports 7
-m conntrack --ctstate RELATED,ESTABLISHED
-m conntrack ! --ctstate NEW,UNTRACKED --ctproto 6 --ctorigsrc 10.0.0.0/8 ! --ctrepldst 10.1.2.3 --ctorigdstport 80:90 --ctstatus ASSURED --ctexpire 1:10 --ctdir REPLY
-m mark ! --mark 0x1/0xff
-m connmark --mark 0x5
-m addrtype --src-type UNICAST ! --dst-type LOCAL --limit-iface-in
-m physdev --physdev-is-in ! --physdev-in v0 --physdev-is-bridged
-m limit --limit 5/min --limit-burst 7
-m limit --limit 100/hour
-m statistic --mode random ! --probability 0.25
-m statistic --mode nth --every 3 --packet 1
-m pkttype ! --pkt-type multicast
-m mac ! --mac-source 02:00:00:00:00:01
-m iprange --src-range 10.0.0.1-10.0.0.9 ! --dst-range 10.1.0.1-10.1.0.9
-p tcp -j REJECT --reject-with tcp-reset
-j REJECT --reject-with icmp-host-prohibited
-j LOG --log-prefix a:b --log-level 3 --log-uid
-j NFLOG --nflog-prefix x --nflog-group 5
END
try() { "$@" || true; }
try iptables-legacy -A FORWARD -m comment --comment "it's \"two\" words"
try iptables-legacy -A OUTPUT -m owner --uid-owner 0-10 ! --gid-owner 5 --socket-exists
try iptables-legacy -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1-10.0.0.9:80-90 --persistent
try iptables-legacy -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1:80-90/8000
try iptables-legacy -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 80
try iptables-legacy -t nat -A PREROUTING -d 10.0.0.0/24 -j NETMAP --to 10.1.0.0/24
try iptables-legacy -t nat -A POSTROUTING -p tcp -j SNAT --to-source 10.0.0.1:1-2 --random-fully
try iptables-legacy -t nat -A POSTROUTING -p tcp -j MASQUERADE --to-ports 1024-2048 --random
try iptables-legacy -t mangle -A PREROUTING -j MARK --set-xmark 0x10/0xf0
try iptables-legacy -t mangle -A PREROUTING -j CONNMARK --set-xmark 0x10/0xf0
try iptables-legacy -t mangle -A PREROUTING -j CONNMARK --restore-mark --nfmask 0xff --ctmask 0xff
try iptables-legacy -t mangle -A PREROUTING -j CONNMARK --save-mark
try iptables-legacy -t mangle -A PREROUTING -m rpfilter --loose --invert
try iptables-legacy -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
try iptables-legacy -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1400
try iptables-legacy -t raw -A PREROUTING -j CT --notrack
try ip6tables-legacy -A INPUT -s fd00::/8 ! -d fd00::1 -i v0 -p icmpv6 -m icmp6 --icmpv6-type 135 -j LOG
try ip6tables-legacy -t nat -A PREROUTING -p tcp -j DNAT --to-destination [fd00::1]:80
try ip6tables-legacy -t nat -A POSTROUTING -s fd00::/64 -j MASQUERADE
try ip6tables-legacy -A FORWARD -j REJECT
try ip6tables-legacy -A FORWARD -m conntrack --ctorigsrc fd00::/8
ip link set lo up
try ping -c 1 -w 1 127.0.0.1
"#;

/// Asserts that iptables-save's lines of a table of nftables have what is told of the matches and
/// targets in each rule; how many there are.
fn assert_same_meaning(namespace: &Value, (family, name): (&str, &str), lines: &[&str]) -> usize {
    let is_it = |table: &&Value| table["family"] == family && table["name"] == name;
    let table = list(namespace, "tables").iter().find(is_it).expect("the table");
    let mut count = 0;
    for chain in list(table, "chains") {
        let start = format!("-A {} ", word(&chain["name"]));
        let lines = lines.iter().filter(|line| line.starts_with(&start));
        for (rule, line) in list(chain, "rules").iter().zip(lines) {
            for step in list(rule, "expressions") {
                for (kind, option) in [("match", "-m"), ("target", "-j")] {
                    let (what, means) = (&step[kind]["name"], &step[kind]["means"]);
                    if !what.is_null() {
                        let words = format!("{option} {} {}", word(what), word(means));
                        assert!(line.contains(words.trim_end()), "{words}: {line}");
                        count += 1;
                    }
                }
            }
        }
    }
    count
}

#[test]
fn the_old_iptables_are_what_iptables_save_says() {
    let lab = Lab::new();
    if lab.try_sh("iptables-legacy -L -n").code != 0 || lab.lacks_nftables() {
        lab.not_here("the old iptables");
        return;
    }
    lab.sh(RULES);
    same(&lab, "/proc/self/ns/net", NAMES);
    let said = namespace(&lab, "/proc/self/ns/net", NAMES);
    let families: Vec<&Value> =
        said["legacyTables"].as_array().expect("tables").iter().map(|one| &one["family"]).collect();
    assert!(families.contains(&&Value::from("ip")) && families.contains(&&Value::from("ip6")));
    assert!(command(&lab, "", NAMES).contains("old iptables: "));
}

#[test]
fn tables_of_the_old_iptables_are_not_made_by_looking() {
    let lab = Lab::new();
    lab.sh("ip netns add c1");
    let names = "cat /proc/thread-self/net/ip_tables_names /proc/thread-self/net/ip6_tables_names \
                 || true";
    let before = lab.sh(names);
    command(&lab, "--json", NAMES);
    assert_eq!(lab.sh(names), before);
}

#[test]
fn iptables_in_nftables_means_what_iptables_save_says() {
    let lab = Lab::new();
    if lab.lacks_nftables() {
        return;
    }
    lab.sh(&RULES.replace("-legacy", "-nft"));
    let said = namespace(&lab, "/proc/self/ns/net", NAMES);
    let mut known = 0;
    for (family, program) in [("ip", "iptables"), ("ip6", "ip6tables")] {
        let saved = lab.sh(&format!("{program}-nft-save"));
        let mut lines = saved.lines();
        while let Some(table) = lines.by_ref().find_map(|line| line.strip_prefix('*')) {
            let rules: Vec<&str> = lines.by_ref().take_while(|line| *line != "COMMIT").collect();
            known += assert_same_meaning(&said, (family, table), &rules);
        }
    }
    assert!(known > 15, "{known} matches and targets are told");
}
