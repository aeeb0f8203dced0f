//! Kernel parameters, and offloads of links.

use ropewalk_netstate::resource::{Offload, Offloads, Sysctl};

use crate::support::{HOST, INSIDE, in_lab, output_of, veth};

#[test]
fn parameters_are_read_and_written_where_they_belong() {
    in_lab(|lab| {
        let value = |value: &str| Sysctl::new("net/ipv4/conf/default/arp_notify", value);
        lab.has(HOST, &value("0").into());
        lab.changes(INSIDE, value("1"));
        lab.has(HOST, &value("0").into());
        lab.creates(HOST, value("1"));
        lab.changes(INSIDE, value("0"));
        lab.delete(HOST, value("1"));
        lab.has(HOST, &value("1").into());
    });
}

#[test]
fn a_parameter_the_kernel_does_not_have_is_not_found_and_named() {
    in_lab(|lab| {
        let wanted = Sysctl::new("net/ipv4/conf/eth9/arp_notify", "1");
        assert_eq!(lab.find(INSIDE, &wanted.clone().into()), None);
        lab.create(INSIDE, Sysctl { optional: true, ..wanted.clone() });
        let error = lab.refuses(INSIDE, wanted);
        let path = "/proc/sys/net/ipv4/conf/eth9/arp_notify";
        assert_eq!(error.reason, format!("write \"1\" to {path}: no such file or directory"));
        let error = lab.refuses(INSIDE, Sysctl::new("net/ipv4/conf/all/arp_notify", "many"));
        assert!(error.reason.ends_with(": invalid argument"), "{error}");
        let outside = Sysctl::new("../../etc/hostname", "x");
        assert_eq!(lab.refuses(HOST, outside).reason, "../../etc/hostname: invalid argument");
    });
}

fn offloads(link: &str, wanted: &[(&str, bool, bool)]) -> Offloads {
    let pair = |(name, on, optional): &(&str, bool, bool)| {
        ((*name).to_owned(), Offload { on: *on, optional: *optional })
    };
    Offloads { link: link.parse().unwrap(), offloads: wanted.iter().map(pair).collect() }
}

#[test]
fn offloads_obey_the_law() {
    in_lab(|lab| {
        lab.create(HOST, veth("near", "eth0"));
        let absent = offloads("nowhere", &[("rx-gro", true, false)]);
        assert_eq!(lab.find(INSIDE, &absent.clone().into()), None);
        assert_eq!(lab.refuses(INSIDE, absent).errno, libc::ENODEV);
        let on = [("tx-tcp-segmentation", true, false), ("tx-checksum-ip-generic", true, false)];
        let off = on.map(|(name, _, optional)| (name, false, optional));
        lab.has(INSIDE, &offloads("eth0", &on).into());
        lab.changes(INSIDE, offloads("eth0", &off));
        let shown = output_of("ip", &["netns", "exec", "sandbox", "ethtool", "-k", "eth0"]);
        assert!(shown.contains("tx-tcp-segmentation: off\n"), "{shown}");
        lab.changes(INSIDE, offloads("eth0", &on));
        lab.has(HOST, &offloads("near", &on).into());
    });
}

#[test]
fn offloads_that_cannot_be_are_errors_unless_they_are_optional() {
    in_lab(|lab| {
        lab.create(HOST, veth("near", "eth0"));
        for name in ["rx-hashing", "no-such-offload"] {
            let needed = offloads("eth0", &[("rx-gro", true, false), (name, true, false)]);
            assert_eq!(lab.refuses(INSIDE, needed).errno, libc::EOPNOTSUPP);
            lab.has(INSIDE, &offloads("eth0", &[("rx-gro", false, false)]).into());
            let optional = offloads("eth0", &[("rx-gro", true, false), (name, true, true)]);
            lab.changes(INSIDE, optional);
            lab.changes(INSIDE, offloads("eth0", &[("rx-gro", false, false)]));
        }
    });
}
