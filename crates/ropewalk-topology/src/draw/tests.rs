//! The drawings of a host that has a bit of everything.

use alloc::{collections::BTreeMap, string::String, vec, vec::Vec};

use super::{dot, svg, tree};
use crate::{
    Graph, LinkAt,
    model::{
        Attachment, Container, Content, Counters, Details, Filter, FilterFamily, Gap, Host, Link,
        Lower, Namespace, Process, Runtime, Setting, Table,
    },
    samples::{address, link, loopback, namespace, on, route},
};

fn end(index: u32, name: &str, other: u32, namespace: Option<i32>) -> Link {
    on(link(index, name, "veth"), other, namespace)
}

fn port(link: Link, master: u32) -> Link {
    Link { master: Some(master), ..link }
}

/// The host's own namespace: a bridge with a container and a VXLAN, an uplink with a VLAN.
fn own() -> Namespace {
    let counters =
        Counters { rx_bytes: 1_234_567, tx_bytes: 999, tx_dropped: 2, ..Counters::default() };
    let uplink = Link { counters, ..link(2, "eth0", "") };
    let vxlan = Details::Vxlan { id: 42, local: None, remote: None, port: 4789, learning: true };
    let content = Content {
        links: vec![
            loopback(),
            uplink,
            link(3, "br0", "bridge"),
            port(end(4, "veth1", 2, Some(0)), 3),
            port(Link { details: vxlan, mtu: 1450, ..link(5, "vx0", "vxlan") }, 3),
            Link {
                details: Details::Vlan { id: 7, protocol: 0x8100 },
                ..on(link(6, "eth0.7", "vlan"), 2, None)
            },
            end(7, "lost", 9, Some(5)),
        ],
        addresses: vec![address(2, "192.0.2.2/24"), address(3, "10.1.0.1/24")],
        routes: vec![route("0.0.0.0/0", 2, Some("192.0.2.1"))],
        filter: Filter {
            tables: vec![Table {
                family: FilterFamily::Inet,
                name: "ropewalk".into(),
                ..Table::default()
            }],
            legacy: Vec::new(),
        },
        settings: vec![Setting { name: "ipv4/ip_forward".into(), value: "1".into() }],
        gaps: vec![Gap { what: "queues".into(), reason: "permission denied".into() }],
        ..Content::default()
    };
    let numbers = BTreeMap::from([(0, 1), (1, 2)]);
    Namespace { is_own: true, numbers, ..namespace(1, "", content) }
}

fn host() -> Host {
    let web = Content {
        links: vec![loopback(), end(2, "eth0", 4, Some(0))],
        addresses: vec![address(2, "10.1.0.11/24")],
        ..Content::default()
    };
    let web = Namespace {
        container: Some(Container {
            runtime: Runtime::Docker,
            id: "3f2a11bb77cc99".into(),
            name: Some("web".into()),
        }),
        owner: Some(Process { pid: 812, command: "nginx".into() }),
        attachments: vec![Attachment {
            network: "lan".into(),
            container: "3f2a11bb77cc99".into(),
            interface: "eth0".into(),
            ..Attachment::default()
        }],
        numbers: BTreeMap::from([(0, 0)]),
        ..namespace(2, "/run/docker/netns/3f2a11bb77cc", web)
    };
    let macvlan = Link {
        details: Details::Macvlan { mode: 4 },
        flags: 0,
        ..on(link(2, "mv0", "macvlan"), 2, Some(0))
    };
    let content = Content { links: vec![macvlan], ..Content::default() };
    let direct = Namespace {
        numbers: BTreeMap::from([(0, 0)]),
        ..namespace(3, "/run/netns/direct", content)
    };
    let idle = Content { links: vec![loopback()], ..Content::default() };
    let secret = Namespace {
        content: Err("failed to enter network namespace: operation not permitted".into()),
        ..namespace(5, "/run/netns/secret", Content::default())
    };
    Host { namespaces: vec![own(), web, direct, namespace(4, "/run/netns/idle", idle), secret] }
}

#[test]
fn the_tree_shows_containers_on_the_ports_they_hang_on() {
    let expected = "\
host
├─ eth0  device  up  mtu 1500  192.0.2.2/24  rx 1.2 MB tx 999 B 2 dropped
│  ├─ eth0.7         vlan 7          up    mtu 1500
│  └─ mv0 in direct  macvlan bridge  down  mtu 1500
├─ br0   bridge  up  mtu 1500  10.1.0.1/24
│  ├─ veth1  ⇄ eth0 in web (docker 3f2a11bb77cc, network lan, nginx[812])  up  mtu 1500  10.1.0.11/24
│  └─ vx0    vxlan 42  up  mtu 1450
├─ lost  veth, its other end (9) is in an unknown namespace  up  mtu 1500
├─ routes: default via 192.0.2.1 dev eth0
├─ nftables: inet ropewalk
├─ forwards IPv4
└─ not read: queues: permission denied

1 namespace with nothing but loopback: idle

secret: not read: failed to enter network namespace: operation not permitted
";
    let drawn = tree(&host());
    assert_eq!(drawn, expected, "\n{drawn}");
}

#[test]
fn the_graph_has_every_link_and_every_relation() {
    let host = host();
    let drawn = dot(&host);
    for (at, link) in Graph::of(&host).links() {
        let node = alloc::format!("n{}_{} [label=\"{}\\n", at.namespace, at.index, link.name);
        assert!(drawn.contains(&node), "{node}: {drawn}");
    }
    for edge in ["n0_4 -- n1_2;", "n0_5 -- n0_3 [style=bold];", "n2_2 -- n0_2 [style=dotted];"] {
        assert!(drawn.contains(edge), "{edge}: {drawn}");
    }
}

#[test]
fn the_picture_shows_containers_and_escapes_names() {
    let mut host = host();
    host.namespaces[1].container = None;
    host.namespaces[1].paths = vec!["/run/netns/a<b>&c".into()];
    let drawn = svg(&host);
    for text in [">a&lt;b&gt;&amp;c</text>", ">eth0 ⇄ veth1</text>", ">10.1.0.11/24</text>"] {
        assert!(drawn.contains(text), "{text}: {drawn}");
    }
    let count = |what: &str| drawn.matches(what).count();
    assert_eq!(count("<text"), count("</text>"));
    assert!(drawn.contains("prefers-color-scheme:dark"));
}

#[test]
fn an_end_without_its_peer_belongs_to_nobody() {
    let mut host = host();
    // The other end says that its peer is another link.
    if let Ok(content) = &mut host.namespaces[1].content {
        content.links[1].lower = Some(Lower { index: 5, namespace: Some(0) });
    }
    let graph = Graph::of(&host);
    assert_eq!(graph.peer(LinkAt { namespace: 0, index: 4 }), None);
}

#[test]
fn a_model_that_goes_round_in_circles_is_drawn() {
    let mut content = Content::default();
    for (index, master) in [(1, 2), (2, 3), (3, 1)] {
        let name = String::from(["", "a", "b", "c"][index as usize]);
        content.links.push(port(link(index, &name, "bridge"), master));
    }
    content.links.push(port(link(4, "self", "bridge"), 4));
    let host = Host { namespaces: vec![Namespace { is_own: true, ..namespace(1, "", content) }] };
    assert!(tree(&host).starts_with("host\n"));
    assert!(svg(&host).ends_with("</svg>\n"));
}
