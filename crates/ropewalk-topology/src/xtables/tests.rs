//! Structures as iptables 1.8.9 makes them on Linux 6.18 (x86-64), and what it says of them.

use alloc::{string::ToString, vec::Vec};

use super::{Action, Condition, Connection};
use crate::model::FilterFamily::{self, Ip, Ip6};

/// Family, name, revision, length, the bytes up to the last that is not 0, words.
type Row = (FilterFamily, &'static str, u32, usize, &'static str, &'static str);

const MATCHES: &[Row] = &[
    (Ip, "rpfilter", 0, 8, "09", "--loose --invert"),
    (Ip, "tcp", 0, 16, "0000ffff0000ffff000602", "--tcp-flags SYN,RST SYN"),
    (Ip, "comment", 0, 256, "706c61696e", "--comment plain"),
    (
        Ip,
        "tcp",
        0,
        16,
        "050005005000510002120201",
        "! --sport 5 --dport 80:81 --tcp-option 2 --tcp-flags SYN,ACK SYN",
    ),
    (Ip, "udp", 0, 16, "350035000000ffff", "--sport 53"),
    (Ip, "icmp", 0, 8, "030404", "--icmp-type 3/4"),
    (Ip, "icmp", 0, 8, "0800ff01", "! --icmp-type 8"),
    (
        Ip,
        "multiport",
        1,
        48,
        "000301000200040000000000000000000000000000000000000000000000000000010000000000000000000000000001",
        "! --sports 1,2:4",
    ),
    (Ip, "multiport", 1, 48, "020107", "--ports 7"),
    (
        Ip,
        "conntrack",
        3,
        168,
        "0a000000000000000000000000000000ff000000000000000000000000000000000000000000000000000000000000000000 \
     000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000a010203 \
     000000000000000000000000ffffffffffffffffffffffffffffffff010000000a00000006000000500000000000e7122110 \
     0801040000005a",
        "! --ctstate NEW,UNTRACKED --ctproto 6 --ctorigsrc 10.0.0.0/8 ! --ctrepldst 10.1.2.3 --ctorigdstport 80:90 --ctstatus ASSURED --ctexpire 1:10 --ctdir REPLY",
    ),
    (Ip, "mark", 1, 16, "01000000ff00000001", "! --mark 0x1/0xff"),
    (Ip, "connmark", 1, 16, "05000000ffffffff", "--mark 0x5"),
    (Ip, "addrtype", 1, 8, "0200040006", "--src-type UNICAST ! --dst-type LOCAL --limit-iface-in"),
    (
        Ip,
        "physdev",
        0,
        72,
        "76300000000000000000000000000000ffffff000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000010d",
        "--physdev-is-in ! --physdev-in v0 --physdev-is-bridged",
    ),
    (Ip, "limit", 0, 40, "c0d4010007", "--limit 5/min --limit-burst 7"),
    (Ip, "limit", 0, 40, "407e050005", "--limit 100/hour"),
    (
        Ip,
        "statistic",
        0,
        24,
        "00000100000000200000000000000020",
        "--mode random ! --probability 0.25000000000",
    ),
    (Ip, "statistic", 0, 24, "01000000020000000100000001", "--mode nth --every 3 --packet 1"),
    (Ip, "pkttype", 0, 8, "0200000001", "! --pkt-type multicast"),
    (Ip, "mac", 0, 16, "020000000001000001", "! --mac-source 02:00:00:00:00:01"),
    (
        Ip,
        "iprange",
        1,
        72,
        "0a0000010000000000000000000000000a0000090000000000000000000000000a0100010000000000000000000000000a01000900000000000000000000000023",
        "--src-range 10.0.0.1-10.0.0.9 ! --dst-range 10.1.0.1-10.1.0.9",
    ),
    (
        Ip,
        "owner",
        1,
        24,
        "000000000a00000005000000050000000702",
        "--socket-exists --uid-owner 0-10 ! --gid-owner 5",
    ),
    (
        Ip6,
        "conntrack",
        3,
        168,
        "fd000000000000000000000000000000ff000000000000000000000000000000000000000000000000000000000000000000 \
     0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000 \
     0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000004",
        "--ctorigsrc fd00::/8",
    ),
];

const TARGETS: &[Row] = &[
    (Ip, "CT", 2, 72, "01", "--notrack"),
    (Ip, "MARK", 2, 8, "10000000f0", "--set-xmark 0x10/0xf0"),
    (Ip, "CONNMARK", 2, 16, "10000000f0000000ffffffff", "--set-xmark 0x10/0xf0"),
    (
        Ip,
        "CONNMARK",
        2,
        16,
        "00000000ff000000ff000000000002",
        "--restore-mark --nfmask 0xff --ctmask 0xff",
    ),
    (
        Ip,
        "CONNMARK",
        2,
        16,
        "00000000ffffffffffffffff000001",
        "--save-mark --nfmask 0xffffffff --ctmask 0xffffffff",
    ),
    (Ip, "TCPMSS", 0, 8, "ffff", "--clamp-mss-to-pmtu"),
    (Ip, "TCPMSS", 0, 8, "7805", "--set-mss 1400"),
    (
        Ip,
        "DNAT",
        2,
        48,
        "0b0000000a0000010000000000000000000000000a0000090000000000000000000000000050005a",
        "--to-destination 10.0.0.1-10.0.0.9:80-90 --persistent",
    ),
    (
        Ip,
        "DNAT",
        2,
        48,
        "230000000a0000010000000000000000000000000a0000010000000000000000000000000050005a1f40",
        "--to-destination 10.0.0.1:80-90/8000",
    ),
    (Ip, "REDIRECT", 0, 24, "0100000002000000000000000000000000500050", "--to-ports 80"),
    (Ip, "NETMAP", 0, 24, "01000000010000000a0100000a0100ff", "--to 10.1.0.0/24"),
    (
        Ip,
        "SNAT",
        0,
        24,
        "01000000130000000a0000010a00000100010002",
        "--to-source 10.0.0.1:1-2 --random-fully",
    ),
    (
        Ip,
        "MASQUERADE",
        0,
        24,
        "01000000060000000000000000000000040008",
        "--to-ports 1024-2048 --random",
    ),
    (Ip, "REJECT", 0, 8, "07", "--reject-with tcp-reset"),
    (Ip, "REJECT", 0, 8, "06", "--reject-with icmp-host-prohibited"),
    (Ip, "LOG", 0, 32, "0308613a62", r#"--log-prefix "a:b" --log-level 3 --log-uid"#),
    (Ip, "NFLOG", 0, 80, "00000000050000000000000078", "--nflog-prefix x --nflog-group 5"),
    (Ip6, "REJECT", 0, 8, "04", "--reject-with icmp6-port-unreachable"),
    (
        Ip6,
        "DNAT",
        2,
        48,
        "03000000fd000000000000000000000000000001fd00000000000000000000000000000100500050",
        "--to-destination [fd00::1]:80",
    ),
    (Ip6, "MASQUERADE", 0, 40, "", ""),
];

fn bytes(digits: &str, length: usize) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().filter(u8::is_ascii_hexdigit).collect();
    let value = |digit: u8| u8::try_from(char::from(digit).to_digit(16).unwrap()).unwrap();
    let mut bytes: Vec<u8> =
        digits.chunks(2).map(|pair| value(pair[0]) << 4 | value(pair[1])).collect();
    bytes.resize(length, 0);
    bytes
}

#[test]
fn matches_are_told_in_the_words_of_iptables() {
    for (family, name, revision, length, digits, words) in MATCHES {
        let found = Condition::read(*family, name, *revision, &bytes(digits, *length));
        assert_eq!(found.map(|one| one.to_string()).as_deref(), Some(*words), "{name}");
    }
}

#[test]
fn targets_are_told_in_the_words_of_iptables() {
    for (family, name, revision, length, digits, words) in TARGETS {
        let found = Action::read(*family, name, *revision, &bytes(digits, *length));
        assert_eq!(found.map(|one| one.to_string()).as_deref(), Some(*words), "{name}");
    }
}

#[test]
fn what_is_cut_off_or_unknown_means_nothing() {
    for (family, name, revision, length, digits, _) in MATCHES {
        let all = bytes(digits, *length);
        for short in 0..all.len() {
            // It must not panic; what lies behind is padding of some.
            let _ = Condition::read(*family, name, *revision, &all[..short]);
        }
        assert_eq!(Condition::read(*family, name, 9, &all), None, "{name}");
    }
    for (family, name, revision, length, digits, _) in TARGETS {
        let all = bytes(digits, *length);
        for short in 0..all.len() {
            let _ = Action::read(*family, name, *revision, &all[..short]);
        }
        assert_eq!(Action::read(*family, name, 9, &all), None, "{name}");
    }
    assert_eq!(Condition::read(Ip, "tcp", 0, &[]), None);
    assert_eq!(Condition::read(Ip, "recent", 0, &[0; 300]), None);
    assert_eq!(Action::read(Ip6, "DNAT", 2, &[0; 39]), None);
}

#[test]
fn what_is_untracked_has_one_meaning() {
    let states = |name, revision, bytes: &[u8]| match Condition::read(Ip, name, revision, bytes) {
        Some(Condition::Connection(connection)) => connection.states.map(|states| states.value),
        other => panic!("{other:?}"),
    };
    assert_eq!(states("state", 0, &u32::to_ne_bytes(64 | 2)), Some(256 | 2));
    assert_eq!(
        states("conntrack", 3, &[0; 164]),
        Connection::default().states.map(|one| one.value)
    );
}
