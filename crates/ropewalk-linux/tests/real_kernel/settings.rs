//! Kernel parameters.

use ropewalk_netstate::resource::Sysctl;

use crate::support::{HOST, INSIDE, in_lab};

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
