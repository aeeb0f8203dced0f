//! Every way in which a found resource can differ from what ADD made.

use std::collections::BTreeMap;

use ropewalk_addr::{IfName, Mac};
use ropewalk_netstate::{
    Resource,
    resource::{
        Attribute, LinkAttribute, PortVlans, Qdisc, RouteScope, VirtualKind,
        traffic::{Discipline, Rate, Selector, Verdict},
    },
};

/// Copies of the resource with one field changed that CHECK must notice, each with the name of
/// the field. A kind without fields to compare has none.
pub fn tampered(resource: &Resource) -> Vec<(&'static str, Resource)> {
    let mut variants: Vec<(&'static str, Resource)> = Vec::new();
    macro_rules! vary {
        ($original:expr, $($field:ident = $value:expr),* $(,)?) => {{$(
            let mut copy = $original.clone();
            copy.$field = $value;
            variants.push((stringify!($field), copy.into()));
        )*}};
    }
    let elsewhere: IfName = "elsewhere".parse().expect("a valid name");
    match resource {
        Resource::Bridge(bridge) => vary!(bridge, promiscuous = !bridge.promiscuous, up = false),
        Resource::Veth(veth) => {
            vary!(veth, up = false, peer = None);
            if veth.bridge.is_some() {
                vary!(veth, bridge = Some(elsewhere));
            }
        }
        Resource::VirtualLink(link) => {
            let kind = match link.kind {
                VirtualKind::Dummy => VirtualKind::Ifb,
                _ => VirtualKind::Dummy,
            };
            vary!(link, kind = kind);
            if link.parent.is_some() {
                vary!(link, parent = None);
            }
            if link.mac.is_some() {
                vary!(link, mac = Some(Mac([2, 0, 0, 0, 0, 97])));
            }
            if let Some(mtu) = link.mtu {
                vary!(link, mtu = Some(mtu + 1));
            }
        }
        Resource::Membership(membership) => vary!(membership, master = elsewhere),
        Resource::BridgePort(port) => {
            vary!(port, hairpin = !port.hairpin, isolated = !port.isolated);
            if port.vlans.is_some() {
                vary!(port, vlans = Some(PortVlans { untagged: Some(4094), ..Default::default() }));
            }
        }
        Resource::LinkAttribute(attribute) => {
            variants.push(("attribute", other_value(attribute).into()));
        }
        Resource::Address(address) => {
            vary!(address, duplicate = true);
            if !address.prefix_route {
                vary!(address, prefix_route = true);
            }
        }
        Resource::Route(route) => {
            if route.mtu.is_some() {
                vary!(route, mtu = Some(68));
            }
            if route.advmss.is_some() {
                vary!(route, advmss = Some(1));
            }
            if route.scope.is_some() {
                vary!(route, scope = Some(RouteScope(200)));
            }
            if route.source.is_some() {
                vary!(route, source = None);
            }
            if !route.hops.is_empty() {
                vary!(route, hops = Vec::new());
            }
        }
        Resource::RoutingRule(rule) => {
            if rule.priority.is_some() {
                vary!(rule, priority = Some(1));
            }
        }
        Resource::Neighbour(neighbour) => vary!(neighbour, mac = Mac([2, 0, 0, 0, 0, 99])),
        Resource::Qdisc(qdisc) => {
            let others = other_disciplines(&qdisc.discipline).into_iter();
            variants
                .extend(others.map(|discipline| {
                    ("discipline", Qdisc { discipline, ..qdisc.clone() }.into())
                }));
        }
        Resource::TrafficClass(class) => {
            let [faster, more] = other_rates(class.rate);
            vary!(class, rate = faster);
            vary!(class, rate = more);
        }
        Resource::TrafficFilter(filter) => {
            let subnet = "192.0.2.0/24".parse().expect("a valid subnet");
            vary!(filter, verdict = Verdict::Other, selector = Selector::From(subnet));
        }
        Resource::Sysctl(sysctl) => vary!(sysctl, value = format!("{}9", sysctl.value)),
        Resource::NftChain(chain) => {
            let found_digests = vec!["tampered".to_owned()];
            vary!(chain, found_digests = found_digests);
            if let Some((_, Resource::NftChain(chain))) = variants.last_mut() {
                chain.rules.clear();
            }
        }
        Resource::NftElements(elements) => vary!(elements, elements = BTreeMap::new()),
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
        | Resource::Await(_)
        | Resource::ConflictProbe(_)
        | Resource::Announcement(_) => {}
    }
    variants
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
    };
    LinkAttribute { attribute, ..wanted.clone() }
}
