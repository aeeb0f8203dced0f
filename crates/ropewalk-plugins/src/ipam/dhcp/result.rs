//! From a lease to a CNI result, and a result on its way from the daemon to the plugin.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ropewalk_cni::{Cidr, CniResult, Dns, IpConfig, RouteConfig};
use ropewalk_dhcp::{
    Lease,
    gob::Value,
    rpc::{structure, text},
    v6,
};

use super::config::Config;

/// The scope of destinations on the link itself.
const SCOPE_LINK: u8 = 253;

/// The prefix of an address that is told without one.
pub(super) const WHOLE_ADDRESS: u8 = 128;

/// What a lease means for the container.
pub(super) fn of_lease(lease: &Lease, config: &Config) -> Result<CniResult, String> {
    let length =
        lease.prefix_length.ok_or("DHCP option Subnet Mask not found in DHCPACK".to_owned())?;
    let cidr = |ip: Ipv4Addr, length| Cidr { ip: ip.into(), prefix: length };
    let routes = lease.routes.iter().map(|route| {
        let on_link = route.router.is_unspecified();
        RouteConfig {
            gw: (!on_link).then_some(route.router.into()),
            scope: on_link.then_some(SCOPE_LINK),
            priority: config.priority,
            mtu: lease.mtu.map(u32::from),
            ..RouteConfig::new(cidr(route.destination, route.prefix_length), None)
        }
    });
    let gateway = lease.routers.first().map(|router| (*router).into());
    Ok(CniResult {
        interfaces: Vec::new(),
        ips: vec![IpConfig { interface: None, address: cidr(lease.address, length), gateway }],
        routes: routes.collect(),
        dns: Dns {
            nameservers: lease.name_servers.iter().map(ToString::to_string).collect(),
            domain: lease.domain.clone().unwrap_or_default(),
            search: lease.search.clone(),
            options: Vec::new(),
        },
    })
}

/// What a lease of DHCPv6 means for the container: which other addresses are on the link, and where
/// the rest is, routers say.
pub(super) fn of_v6_lease(lease: &v6::Lease) -> CniResult {
    let address = Cidr { ip: lease.address.into(), prefix: WHOLE_ADDRESS };
    CniResult {
        ips: vec![IpConfig { interface: None, address, gateway: None }],
        dns: Dns {
            nameservers: lease.name_servers.iter().map(ToString::to_string).collect(),
            search: lease.search.clone(),
            ..Dns::default()
        },
        ..CniResult::default()
    }
}

/// Adds to a result that of another lease for the same container.
pub(super) fn add(whole: &mut CniResult, part: CniResult) {
    whole.ips.extend(part.ips);
    whole.routes.extend(part.routes);
    whole.dns.nameservers.extend(part.dns.nameservers);
    if whole.dns.domain.is_empty() {
        whole.dns.domain = part.dns.domain;
    }
    for domain in part.dns.search {
        if !whole.dns.search.contains(&domain) {
            whole.dns.search.push(domain);
        }
    }
}

/// A result as the daemon sends it.
pub(super) fn write(result: &CniResult) -> Value {
    let address = |ip: &IpConfig| {
        structure([("Address", network(ip.address)), ("Gateway", optional_ip(ip.gateway))])
    };
    let number = |number: Option<u32>| Value::Int(number.unwrap_or_default().into());
    let route = |route: &RouteConfig| {
        structure([
            ("Dst", network(route.dst)),
            ("GW", optional_ip(route.gw)),
            ("MTU", number(route.mtu)),
            ("Priority", number(route.priority)),
            ("Scope", number(route.scope.map(u32::from))),
        ])
    };
    let texts = |texts: &[String]| Value::List(texts.iter().map(|t| text(t)).collect());
    let dns = &result.dns;
    structure([
        ("IPs", Value::List(result.ips.iter().map(address).collect())),
        ("Routes", Value::List(result.routes.iter().map(route).collect())),
        (
            "DNS",
            structure([
                ("Nameservers", texts(&dns.nameservers)),
                ("Domain", text(&dns.domain)),
                ("Search", texts(&dns.search)),
            ]),
        ),
    ])
}

/// A result as the plugin gets it, from our daemon or the reference's. What cannot be read is left
/// out: a result without addresses is refused by whoever needs one.
pub(super) fn read(value: &Value) -> CniResult {
    let address = |value: &Value| {
        let address = read_network(value.field("Address")?)?;
        Some(IpConfig { interface: None, address, gateway: read_ip(value.bytes("Gateway")) })
    };
    let route = |value: &Value| {
        // Zero and absent are one, as they are to Go.
        let number = |name| u32::try_from(value.int(name)?).ok().filter(|number| *number != 0);
        Some(RouteConfig {
            gw: read_ip(value.bytes("GW")),
            mtu: number("MTU"),
            advmss: number("AdvMSS"),
            priority: number("Priority"),
            table: number("Table"),
            scope: number("Scope").and_then(|scope| u8::try_from(scope).ok()),
            ..RouteConfig::new(read_network(value.field("Dst")?)?, None)
        })
    };
    CniResult {
        interfaces: Vec::new(),
        ips: value.list("IPs").iter().filter_map(address).collect(),
        routes: value.list("Routes").iter().filter_map(route).collect(),
        dns: value.field("DNS").map(read_dns).unwrap_or_default(),
    }
}

fn read_dns(value: &Value) -> Dns {
    let texts = |name| {
        let text = |value: &Value| match value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        };
        value.list(name).iter().filter_map(text).collect()
    };
    Dns {
        nameservers: texts("Nameservers"),
        domain: value.text("Domain").to_owned(),
        search: texts("Search"),
        options: texts("Options"),
    }
}

fn network(cidr: Cidr) -> Value {
    let mask = match cidr.ip {
        IpAddr::V4(_) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(cidr.prefix)).unwrap_or_default();
            mask.to_be_bytes().to_vec()
        }
        IpAddr::V6(_) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(cidr.prefix)).unwrap_or_default();
            mask.to_be_bytes().to_vec()
        }
    };
    structure([("IP", optional_ip(Some(cidr.ip))), ("Mask", Value::Bytes(mask))])
}

fn optional_ip(ip: Option<IpAddr>) -> Value {
    Value::Bytes(match ip {
        Some(IpAddr::V4(ip)) => ip.octets().to_vec(),
        Some(IpAddr::V6(ip)) => ip.octets().to_vec(),
        None => Vec::new(),
    })
}

/// Go programs hold IPv4 addresses in four bytes or in sixteen.
fn read_ip(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return Some(bytes.into());
    }
    let bytes = <[u8; 16]>::try_from(bytes).ok()?;
    Some(Ipv6Addr::from(bytes).to_canonical())
}

fn read_network(value: &Value) -> Option<Cidr> {
    let mask = value.bytes("Mask");
    let ones: u32 = mask.iter().map(|byte| byte.count_ones()).sum();
    Cidr::new(read_ip(value.bytes("IP"))?, u8::try_from(ones).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ropewalk_addr::Mac;
    use ropewalk_dhcp::{Kind, Message, option};
    use serde_json::json;

    #[test]
    fn a_lease_without_a_mask_is_of_no_use() {
        let mut message = Message::request(Kind::Ack, 1, Mac::default());
        message.your_address = [10, 1, 0, 5].into();
        message.options.set(option::SERVER_IDENTIFIER, [10, 1, 0, 1]);
        let config = Config::read(&json!({}), "").unwrap();
        let lease = Lease::of(&message).unwrap();
        let reason = "DHCP option Subnet Mask not found in DHCPACK";
        assert_eq!(of_lease(&lease, &config), Err(reason.to_owned()));
        message.options.set(option::SUBNET_MASK, [255, 255, 0, 0]);
        let lease = Lease::of(&message).unwrap();
        assert_eq!(of_lease(&lease, &config).unwrap().ips[0].address.prefix, 16);
    }

    #[test]
    fn a_result_survives_the_way_from_the_daemon() {
        let cidr = |text: &str| text.parse::<Cidr>().unwrap();
        let ip = |text: &str| text.parse::<IpAddr>().ok();
        let on_link =
            RouteConfig { scope: Some(253), ..RouteConfig::new(cidr("10.2.0.0/15"), None) };
        let default = RouteConfig {
            priority: Some(7),
            mtu: Some(1400),
            ..RouteConfig::new(cidr("0.0.0.0/0"), ip("10.1.0.1"))
        };
        let result = CniResult {
            interfaces: Vec::new(),
            ips: vec![IpConfig {
                interface: None,
                address: cidr("10.1.0.5/24"),
                gateway: ip("10.1.0.1"),
            }],
            routes: vec![on_link, default],
            dns: Dns {
                nameservers: vec!["10.1.0.1".to_owned()],
                domain: "x".to_owned(),
                search: vec!["y".to_owned()],
                options: Vec::new(),
            },
        };
        assert_eq!(read(&write(&result)), result);
    }
}
