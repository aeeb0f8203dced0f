//! What is changed on a host before it is asked about: rules of nftables and iptables, routes,
//! sysctls, ports. Chosen at random from a seed, so that the same seed gives the same hosts.

use ropewalk_e2e::Random;

use super::world::suffix;

/// A change, and what undoes all of it but rules: those are flushed everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) script: String,
    pub(crate) undo: String,
}

/// Makes a change: its script, and what undoes it.
type Kind = fn(&mut Random) -> (String, String);

/// Changes for one round: some of how packets are translated, some of what is let through, some of
/// the ways.
pub(crate) fn choose(random: &mut Random, host: usize) -> Vec<Change> {
    let mut changes = Vec::new();
    let kinds: [Kind; 7] = [filter, translation, iptables, containers, bridges, routes, settings];
    // At least two of them, in this order.
    let mut chosen: Vec<usize> = (0..kinds.len()).collect();
    random.shuffle(&mut chosen);
    chosen.truncate(2 + random.below(3));
    chosen.sort_unstable();
    for kind in chosen {
        let (script, undo) = kinds[kind](random);
        let suffix = suffix(host);
        let named = |text: String| text.replace('~', &suffix);
        changes.push(Change { script: named(script), undo: named(undo) });
    }
    changes
}

fn nft(rules: &str) -> String {
    format!("nft -f - <<'END'\n{rules}\nEND")
}

fn pick<'a>(random: &mut Random, from: &[&'a str], count: usize) -> Vec<&'a str> {
    let mut all = from.to_vec();
    random.shuffle(&mut all);
    all.truncate(count);
    all
}

/// Rules for packets that are passed on, and for those that come in.
const FORWARD_RULES: [&str; 30] = [
    "ct state established,related accept",
    "ct state established,related accept",
    "ct state vmap { established : accept, related : accept, invalid : drop }",
    "ct status dnat accept",
    "tcp dport 80 accept",
    "tcp dport { 80, 443 } accept",
    "tcp dport 8000-8999 drop",
    "tcp dport vmap { 80 : accept, 81 : drop, 443 : jump deeper }",
    "ip saddr 10.1.0.11 drop",
    "ip saddr @bad drop",
    "ip daddr @good accept",
    "ip daddr . tcp dport vmap { 10.1.0.12 . 80 : accept, 10.2.0.13 . 81 : drop }",
    "iifname \"br1~\" accept",
    "iifname \"br*\" oifname \"up~\" accept",
    "oifname != \"up~\" meta l4proto udp drop",
    "meta l4proto icmp accept",
    "meta l4proto { icmp, icmpv6 } accept",
    "icmp type echo-request drop",
    "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept",
    "ip6 saddr fd00:1::/64 accept",
    "ip6 daddr fd00:2::13 tcp dport != 80 drop",
    "meta mark 7 accept",
    "meta mark 8 drop",
    "udp dport 53 reject",
    "tcp dport 81 reject with tcp reset",
    "jump deeper",
    "goto deeper",
    "ip protocol tcp tcp flags & (syn|ack) == syn counter",
    "fib daddr type local accept",
    "ct direction reply accept",
];

fn filter(random: &mut Random) -> (String, String) {
    let count = 2 + random.below(5);
    let rules = pick(random, &FORWARD_RULES, count).join("\n");
    let policy = random.choose(&["accept", "drop", "drop"]);
    let hook = random.choose(&["forward", "forward", "input", "output", "prerouting"]);
    let priority = random.choose(&["filter", "mangle", "10"]);
    let marks = if random.below(2) == 0 {
        "chain marks { type filter hook prerouting priority raw;
             ip saddr 10.1.0.0/24 meta mark set 7
             tcp dport 81 meta mark set 8
             meta mark 7 ct mark set meta mark
         }"
    } else {
        ""
    };
    let script = nft(&format!(
        "table inet generated {{
            set bad {{ type ipv4_addr; flags interval; elements = {{ 10.2.0.0/24, 192.0.2.2 }} }}
            set good {{ type ipv4_addr; elements = {{ 10.1.0.12, 192.0.2.2, 10.3.0.2 }} }}
            chain deeper {{ tcp dport 443 accept
                udp dport 5353 drop
                ip daddr 10.1.0.11 return
                ct state new tcp dport 8080 drop
            }}
            {marks}
            chain main {{ type filter hook {hook} priority {priority}; policy {policy};
                {rules}
            }}
        }}"
    ));
    (script, String::new())
}

const DESTINATIONS: [&str; 8] = [
    "ip daddr 192.0.2.1 tcp dport 8080 dnat to 10.1.0.12:80",
    "fib daddr type local tcp dport 8080 dnat ip to 10.1.0.12:80",
    "fib daddr type local tcp dport 8080 dnat ip to 10.2.0.13",
    "fib daddr type local udp dport 53 dnat ip to 10.1.0.11",
    "meta l4proto tcp fib daddr type local dnat ip to tcp dport map { 8080 : 10.1.0.11, 81 : 10.2.0.13 }",
    "tcp dport 443 redirect to :80",
    "ip6 daddr 2001:db8::1 tcp dport 8080 dnat to [fd00:1::12]:80",
    "ip daddr 198.51.100.1 dnat to 10.1.0.12",
];
const SOURCES: [&str; 8] = [
    "ip saddr 10.1.0.0/24 oifname \"up~\" masquerade",
    "ip saddr 10.0.0.0/8 ip daddr != 10.0.0.0/8 masquerade",
    "oifname \"up~\" masquerade",
    "ip saddr 10.2.0.13 snat to 192.0.2.1",
    "ip6 saddr fd00:1::/64 oifname \"up~\" masquerade",
    "ct status dnat masquerade",
    "oifname \"br1~\" masquerade",
    "meta l4proto tcp ip saddr 10.1.0.11 snat to 192.0.2.1:2000-2999",
];

fn translation(random: &mut Random) -> (String, String) {
    let count = 1 + random.below(3);
    let (first, second) = (pick(random, &DESTINATIONS, count), pick(random, &SOURCES, count));
    let output = if random.below(2) == 0 {
        let rule = random.choose(&DESTINATIONS);
        format!("chain out {{ type nat hook output priority -100;\n{rule}\n}}")
    } else {
        String::new()
    };
    let script = nft(&format!(
        "table inet translated {{
            chain before {{ type nat hook prerouting priority dstnat;\n{}\n}}
            chain after {{ type nat hook postrouting priority srcnat;\n{}\n}}
            {output}
        }}",
        first.join("\n"),
        second.join("\n")
    ));
    (script, String::new())
}

/// Rules of iptables, the old one and that in nftables.
const IPTABLES: [&str; 18] = [
    "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    "-A FORWARD -i br1~ -j ACCEPT",
    "-A FORWARD -p tcp -m multiport --dports 80,443,8000:8100 -j ACCEPT",
    "-A FORWARD -s 10.1.0.11 -d 10.2.0.0/24 -j DROP",
    "-A FORWARD -p tcp --dport 81 -j REJECT",
    "-A FORWARD -p icmp --icmp-type 8 -j ACCEPT",
    "-A FORWARD -o up~ ! -s 10.2.0.0/24 -j ACCEPT",
    "-A FORWARD -m iprange --src-range 10.1.0.11-10.1.0.12 -p udp -j DROP",
    "-A FORWARD -m physdev --physdev-is-bridged -j ACCEPT",
    "-A FORWARD -m mark --mark 3 -j ACCEPT",
    "-t mangle -A PREROUTING -p tcp --dport 80 -j MARK --set-mark 3",
    "-A INPUT -p tcp --dport 80 -j DROP",
    "-A INPUT -p udp -m udp --dport 53 -j REJECT",
    "-t nat -A PREROUTING -m addrtype --dst-type LOCAL -p tcp --dport 8080 -j DNAT --to-destination 10.1.0.12:80",
    "-t nat -A OUTPUT -m addrtype --dst-type LOCAL -p tcp --dport 8080 -j DNAT --to-destination 10.2.0.13:80",
    "-t nat -A POSTROUTING -s 10.0.0.0/8 ! -o br1~ -j MASQUERADE",
    "-t nat -A POSTROUTING -m conntrack --ctstate DNAT -j SNAT --to-source 192.0.2.1",
];

fn iptables(random: &mut Random) -> (String, String) {
    let count = 3 + random.below(6);
    let (program, six) = *random.choose(&[
        ("iptables-nft -w", "ip6tables-nft -w"),
        ("iptables-nft -w", "ip6tables-nft -w"),
        ("iptables-legacy -w", "ip6tables-legacy -w"),
    ]);
    let mut script: Vec<String> =
        pick(random, &IPTABLES, count).iter().map(|rule| format!("{program} {rule}")).collect();
    if random.below(2) == 0 {
        script.push(format!("{program} -P FORWARD DROP"));
        script.push(format!("{six} -P FORWARD DROP"));
        script.push(format!("{six} -A FORWARD -p ipv6-icmp -j ACCEPT"));
    }
    let undo: Vec<String> = [program, six]
        .iter()
        .filter(|program| program.contains("legacy"))
        .map(|program| {
            format!(
                "{program} -P FORWARD ACCEPT
                 for table in filter nat mangle; do {program} -t $table -F; done"
            )
        })
        .collect();
    (script.join("\n"), undo.join("\n"))
}

/// Rules of their own in containers.
fn containers(random: &mut Random) -> (String, String) {
    let container = random.choose(&["c1~", "c2~", "c3~", "out~", "p1~"]);
    let rules = [
        "table inet own { chain in { type filter hook input priority 0; policy drop;
            ct state established,related accept; tcp dport { 80, 8080 } accept
            icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept; }; }",
        "table inet own { chain in { type filter hook input priority 0; policy drop;
            tcp dport 80 accept; }; }",
        "table inet own { chain out { type filter hook output priority 0;
            udp dport 53 drop; ip daddr 10.2.0.0/24 reject; }; }",
        "table inet own { chain in { type filter hook input priority 0;
            tcp sport < 1024 ct state new drop; meta l4proto icmp drop; }; }",
        "table inet own { chain out { type route hook output priority 0;
            tcp dport 81 meta mark set 5; }; chain nat { type nat hook output priority -100;
            tcp dport 443 dnat ip to 10.1.0.12:80; }; }",
        "table ip own { chain in { type nat hook prerouting priority dstnat;
            tcp dport 80 redirect to :8080; }; }",
    ];
    let rules = nft(random.choose::<&str>(&rules));
    (format!("ip netns exec {container} {rules}"), String::new())
}

/// What bridges do.
fn bridges(random: &mut Random) -> (String, String) {
    let changes = [
        (
            "echo 0 >/proc/sys/net/bridge/bridge-nf-call-iptables",
            "echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables",
        ),
        (
            "bridge link set dev v1~ isolated on; bridge link set dev v2~ isolated on",
            "bridge link set dev v1~ isolated off; bridge link set dev v2~ isolated off",
        ),
        (
            "bridge link set dev v2~ isolated on; bridge link set dev v2~ hairpin on",
            "bridge link set dev v2~ isolated off; bridge link set dev v2~ hairpin off",
        ),
        ("ip link set v3~ nomaster", "ip link set v3~ master br2~"),
        ("ip link set v2~ down", "ip link set v2~ up"),
    ];
    let tables = [
        "table bridge generated { chain f { type filter hook forward priority 0; policy drop;
            ether type arp accept; ip protocol tcp tcp dport 80 accept
            ip protocol tcp tcp sport 80 accept; }; }",
        "table bridge generated { chain f { type filter hook prerouting priority 0;
            iifname \"v1~\" ip daddr 10.1.0.12 drop; }; }",
        "table bridge generated { chain f { type filter hook forward priority 0;
            iifname \"v1~\" oifname \"v2~\" udp dport 53 drop; ether type ip6 drop; }; }",
        "table bridge generated { chain f { type filter hook input priority 0; policy drop;
            ether type arp accept; ip daddr 10.1.0.1 accept; iifname \"br2~\" accept; }; }",
        "table bridge generated { chain f { type filter hook forward priority 0;
            ether type arp drop; }; }",
    ];
    let rules =
        if random.below(3) > 0 { nft(random.choose::<&str>(&tables)) } else { String::new() };
    let (script, undo) = random.choose(&changes);
    if random.below(2) == 0 {
        (format!("{script}\n{rules}"), (*undo).to_owned())
    } else {
        (format!("{rules}\ntrue"), String::new())
    }
}

/// Where packets go.
fn routes(random: &mut Random) -> (String, String) {
    let changes = [
        ("ip route add unreachable 10.2.0.13", "ip route del unreachable 10.2.0.13"),
        ("ip route add blackhole 198.51.100.0/24", "ip route del blackhole 198.51.100.0/24"),
        ("ip -6 route add prohibit fd00:2::/65", "ip -6 route del prohibit fd00:2::/65"),
        (
            "ip rule add from 10.1.0.11 lookup 100 pref 100
             ip route add default via 192.0.2.2 table 100",
            "ip rule del pref 100; ip route flush table 100",
        ),
        (
            "ip rule add to 10.2.0.0/24 ipproto tcp dport 81 prohibit pref 100",
            "ip rule del pref 100",
        ),
        (
            "ip rule add iif br1~ lookup 100 pref 100; ip route add 192.0.2.0/24 dev up~ table 100
             ip route add throw 10.0.0.0/8 table 100",
            "ip rule del pref 100; ip route flush table 100",
        ),
        (
            "ip -n c1~ route add 10.2.0.0/24 via 10.1.0.12 metric 5
             ip -n c1~ route add 10.2.0.13/32 via 10.1.0.1",
            "ip -n c1~ route flush 10.2.0.0/24; ip -n c1~ route del 10.2.0.13/32",
        ),
        ("ip -n c3~ route del default", "ip -n c3~ route add default via 10.2.0.1"),
        ("ip -n out~ route del default", "ip -n out~ route add default via 192.0.2.1"),
        (
            "ip -n c2~ address add 10.1.0.22/24 dev eth0; ip -n c2~ address add 10.2.0.77/32 dev eth0
             ip -n c2~ route replace default via 10.1.0.1 src 10.1.0.22",
            "ip -n c2~ address del 10.2.0.77/32 dev eth0; ip -n c2~ address del 10.1.0.22/24 dev eth0
             ip -n c2~ route replace default via 10.1.0.1",
        ),
        (
            "ip -n c2~ rule add fwmark 5 unreachable pref 50
             ip -n c1~ rule add fwmark 5 unreachable pref 50",
            "ip -n c2~ rule del pref 50; ip -n c1~ rule del pref 50",
        ),
        (
            "ip rule add not to 10.0.0.0/8 lookup 102 pref 90
             ip route add unreachable 198.51.100.0/24 table 102",
            "ip rule del pref 90; ip route flush table 102",
        ),
        (
            "ip -n out~ route add 10.1.0.0/24 via 192.0.2.5",
            "ip -n out~ route del 10.1.0.0/24",
        ),
        (
            "ip route add 10.9.9.9/32 via 10.1.0.99",
            "ip route del 10.9.9.9/32",
        ),
    ];
    let (script, undo) = random.choose(&changes);
    ((*script).to_owned(), (*undo).to_owned())
}

/// Sysctls.
fn settings(random: &mut Random) -> (String, String) {
    let changes = [
        ("echo 0 >/proc/sys/net/ipv4/ip_forward", "echo 1 >/proc/sys/net/ipv4/ip_forward"),
        (
            "echo 0 >/proc/sys/net/ipv4/conf/br1~/forwarding",
            "echo 1 >/proc/sys/net/ipv4/conf/br1~/forwarding",
        ),
        (
            "echo 0 >/proc/sys/net/ipv6/conf/all/forwarding",
            "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
             ip -6 route replace default via 2001:db8::2",
        ),
        (
            "echo 1 >/proc/sys/net/ipv4/conf/all/rp_filter
             ip rule add to 10.1.0.11 lookup 101 pref 80
             ip route add 10.1.0.0/24 via 192.0.2.2 table 101",
            "echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter; ip rule del pref 80
             ip route flush table 101",
        ),
        (
            "echo 2 >/proc/sys/net/ipv4/conf/up~/rp_filter; ip route del default",
            "echo 0 >/proc/sys/net/ipv4/conf/up~/rp_filter; ip route add default via 192.0.2.2",
        ),
        ("ip -n c1~ address add 10.1.0.1/32 dev lo", "ip -n c1~ address del 10.1.0.1/32 dev lo"),
        (
            "echo 1 >/proc/sys/net/ipv4/conf/br1~/proxy_arp
             ip -n c1~ route add 10.2.0.0/24 dev eth0",
            "echo 0 >/proc/sys/net/ipv4/conf/br1~/proxy_arp; ip -n c1~ route del 10.2.0.0/24",
        ),
        ("ip -n c2~ link set eth0 mtu 1300", "ip -n c2~ link set eth0 mtu 1500"),
        (
            "echo 1 >/proc/sys/net/ipv4/conf/br1~/route_localnet",
            "echo 0 >/proc/sys/net/ipv4/conf/br1~/route_localnet",
        ),
    ];
    let (script, undo) = random.choose(&changes);
    ((*script).to_owned(), (*undo).to_owned())
}
