//! Every way in which a found resource can differ from what ADD made.

use std::collections::BTreeMap;

use ropewalk_addr::{IfName, Mac};
use ropewalk_netstate::{
    Resource,
    resource::{
        Attribute, LinkAttribute, MovedDevice, Offload, Offloads, PortVlans, Qdisc, Route,
        RouteScope, VirtualKind, VirtualLink,
        traffic::{Discipline, Rate, Selector, Verdict},
    },
};

/// Copies of a resource, each with one field changed, and the names of the fields.
type Variants = Vec<(&'static str, Resource)>;

macro_rules! vary {
    ($variants:ident, $original:expr, $($field:ident = $value:expr),* $(,)?) => {{$(
        let mut copy = $original.clone();
        copy.$field = $value;
        $variants.push((stringify!($field), copy.into()));
    )*}};
}

/// Copies of the resource with one field changed that CHECK must notice, each with the name of
/// the field. A kind without fields to compare has none.
pub fn tampered(resource: &Resource) -> Variants {
    let mut variants = Variants::new();
    let elsewhere: IfName = "elsewhere".parse().expect("a valid name");
    match resource {
        Resource::Bridge(bridge) => {
            vary!(variants, bridge, promiscuous = !bridge.promiscuous, up = false);
        }
        Resource::Veth(veth) => {
            vary!(variants, veth, up = false, peer = None);
            if veth.bridge.is_some() {
                vary!(variants, veth, bridge = Some(elsewhere));
            }
        }
        Resource::VirtualLink(link) => other_links(link, &mut variants),
        Resource::Membership(membership) => vary!(variants, membership, master = elsewhere),
        Resource::MovedDevice(device) => other_devices(device, &mut variants),
        Resource::BridgePort(port) => {
            let other = |flag: Option<bool>| flag.map(|on| !on);
            vary!(variants, port, hairpin = other(port.hairpin));
            vary!(variants, port, isolated = other(port.isolated));
            if port.vlans.is_some() {
                vary!(
                    variants,
                    port,
                    vlans = Some(PortVlans { untagged: Some(4094), ..Default::default() })
                );
            }
        }
        Resource::FastPath(path) => {
            vary!(variants, path, is_attached = false, is_listed = false);
        }
        Resource::LinkAttribute(attribute) => {
            variants.push(("attribute", other_value(attribute).into()));
        }
        Resource::Address(address) => {
            vary!(variants, address, duplicate = true);
            if !address.prefix_route {
                vary!(variants, address, prefix_route = true);
            }
        }
        Resource::Route(route) => other_routes(route, &mut variants),
        Resource::RoutingRule(rule) => {
            if rule.priority.is_some() {
                vary!(variants, rule, priority = Some(1));
            }
        }
        Resource::Neighbour(neighbour) => {
            vary!(variants, neighbour, mac = Mac([2, 0, 0, 0, 0, 99]));
        }
        Resource::Qdisc(qdisc) => other_qdiscs(qdisc, &mut variants),
        Resource::TrafficClass(class) => {
            let [faster, more] = other_rates(class.rate);
            vary!(variants, class, rate = faster);
            vary!(variants, class, rate = more);
        }
        Resource::TrafficFilter(filter) => {
            let subnet = "192.0.2.0/24".parse().expect("a valid subnet");
            vary!(variants, filter, verdict = Verdict::Other, selector = Selector::From(subnet));
        }
        Resource::Offloads(wanted) => other_offloads(wanted, &mut variants),
        Resource::Sysctl(sysctl) => vary!(variants, sysctl, value = format!("{}9", sysctl.value)),
        Resource::NftChain(chain) => {
            let found_digests = vec!["tampered".to_owned()];
            vary!(variants, chain, found_digests = found_digests);
            if let Some((_, Resource::NftChain(chain))) = variants.last_mut() {
                chain.rules.clear();
            }
        }
        Resource::NftElements(elements) => vary!(variants, elements, elements = BTreeMap::new()),
        Resource::AnyLink(_)
        | Resource::RouteAbsence(_)
        | Resource::AddressGuard(_)
        | Resource::NftTable(_)
        | Resource::NftSet(_)
        | Resource::NftTaggedRules(_)
        | Resource::IptablesChain(_)
        | Resource::IptablesRule(_)
        | Resource::FirewalldSource(_)
        | Resource::StaleFlows(_)
        | Resource::IdleBridge(_)
        | Resource::Await(_)
        | Resource::ConflictProbe(_)
        | Resource::Announcement(_) => {}
    }
    // What is not wanted cannot be changed.
    variants.retain(|(_, variant)| variant != resource);
    variants
}

fn other_links(link: &VirtualLink, variants: &mut Variants) {
    let kind = match link.kind {
        VirtualKind::Dummy => VirtualKind::Ifb,
        _ => VirtualKind::Dummy,
    };
    vary!(variants, link, kind = kind);
    if link.parent.is_some() {
        vary!(variants, link, parent = None);
    }
    if link.mac.is_some() {
        vary!(variants, link, mac = Some(Mac([2, 0, 0, 0, 0, 97])));
    }
    if let Some(mtu) = link.mtu {
        vary!(variants, link, mtu = Some(mtu + 1));
    }
}

fn other_devices(device: &MovedDevice, variants: &mut Variants) {
    if device.original.is_some() {
        vary!(variants, device, original = None);
    }
    if device.mac.is_some() {
        vary!(variants, device, mac = None);
    }
}

fn other_routes(route: &Route, variants: &mut Variants) {
    if route.mtu.is_some() {
        vary!(variants, route, mtu = Some(68));
    }
    if route.advmss.is_some() {
        vary!(variants, route, advmss = Some(1));
    }
    if route.scope.is_some() {
        vary!(variants, route, scope = Some(RouteScope(200)));
    }
    if route.source.is_some() {
        vary!(variants, route, source = None);
    }
    if !route.hops.is_empty() {
        vary!(variants, route, hops = Vec::new());
    }
}

fn other_qdiscs(qdisc: &Qdisc, variants: &mut Variants) {
    for discipline in other_disciplines(&qdisc.discipline) {
        vary!(variants, qdisc, discipline = discipline);
    }
}

fn other_disciplines(discipline: &Discipline) -> Vec<Discipline> {
    let mut others = vec![Discipline::Other("pfifo".into())];
    if let Discipline::TokenBucket { rate, limit_bytes } = *discipline {
        let more = limit_bytes + 1;
        others.push(Discipline::TokenBucket { rate, limit_bytes: more });
        let rates = other_rates(rate).into_iter();
        others.extend(rates.map(|rate| Discipline::TokenBucket { rate, limit_bytes }));
    }
    others
}

fn other_offloads(wanted: &Offloads, variants: &mut Variants) {
    for (name, offload) in &wanted.offloads {
        let mut offloads = wanted.offloads.clone();
        offloads.insert(name.clone(), Offload { on: !offload.on, ..*offload });
        vary!(variants, wanted, offloads = offloads);
    }
}

fn other_rates(rate: Rate) -> [Rate; 2] {
    let faster = Rate { bytes_per_second: rate.bytes_per_second + 1, ..rate };
    [faster, Rate { burst_bytes: rate.burst_bytes + 1, ..rate }]
}

fn other_value(wanted: &LinkAttribute) -> LinkAttribute {
    let attribute = match wanted.attribute {
        Attribute::Up(on) => Attribute::Up(!on),
        Attribute::Mac(_) => Attribute::Mac(Mac([2, 0, 0, 0, 0, 98])),
        Attribute::Mtu(n) => Attribute::Mtu(n + 1),
        Attribute::Promiscuous(on) => Attribute::Promiscuous(!on),
        Attribute::AllMulticast(on) => Attribute::AllMulticast(!on),
        Attribute::TxQueueLength(n) => Attribute::TxQueueLength(n + 1),
        Attribute::PacketSize(n) => Attribute::PacketSize(n - 1),
    };
    LinkAttribute { attribute, ..wanted.clone() }
}
