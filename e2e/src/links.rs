//! Links of kinds that not every kernel has, and links to stand on.

use serde_json::{Value, json};

use crate::{Lab, Snapshot};

/// The host's link to the outside, see [`Lab::uplink`].
pub const UPLINK: &str = "uplink";

impl Lab {
    /// Whether this kernel has links of a kind (`vlan`, `dummy`, `ipvlan`, `vrf`).
    pub fn has_kind(&self, kind: &str) -> bool {
        let what = match kind {
            "vlan" => "link kind0 name kind2 type vlan id 9",
            "vrf" => "name kind2 type vrf table 9",
            kind => &format!("link kind0 name kind2 type {kind}"),
        };
        let script = format!(
            "ip link add kind0 type veth peer name kind1
             ip link add {what}"
        );
        let made = self.try_sh(&script).code == 0;
        self.try_sh("ip link del kind2; ip link del kind0");
        made
    }

    /// Gives the host a link [`UPLINK`], which has the addresses 10.9.0.1 and fd00:9::1 and leads
    /// to 10.9.0.2 and fd00:9::2 in the namespace of the same name. There is no default route.
    pub fn uplink(&self) {
        let addresses = [("10.9.0.1/24", "10.9.0.2/24"), ("fd00:9::1/64", "fd00:9::2/64")];
        self.outer_network(UPLINK, &addresses);
    }

    /// The names of the host's links, as the kernel lists them. Its files below /sys/class/net
    /// will not do: they vanish a moment later than the link they tell of.
    pub fn host_links(&self) -> Vec<String> {
        let links = self.ip_json("link show");
        let names = links.as_array().into_iter().flatten().map(|link| link["ifname"].as_str());
        names.map(|name| name.expect("a link has a name").to_owned()).collect()
    }

    /// A link of a container, as `ip` shows it.
    #[track_caller]
    pub fn link_in(&self, netns: &str, name: &str) -> Value {
        self.ip_json_in(netns, &format!("link show dev {name}"))[0].take()
    }

    /// Whether a container's `eth0` stands on a link of the host.
    #[track_caller]
    pub fn stands_on(&self, netns: &str, master: &str) -> bool {
        let below = self.link_in(netns, "eth0")["link_index"].take();
        self.ip_json(&format!("link show dev {master}"))[0]["ifindex"] == below
    }

    /// A sysctl of a container's `eth0`.
    #[track_caller]
    pub fn setting(&self, netns: &str, family: &str, name: &str) -> String {
        self.sh_in(netns, &format!("cat /proc/sys/net/{family}/conf/eth0/{name}"))
    }

    /// The addresses of a container's `eth0`, link-local ones left out.
    #[track_caller]
    pub fn addresses_in(&self, netns: &str) -> Vec<String> {
        let answer = self.ip_json_in(netns, "address show dev eth0");
        let addresses = answer[0]["addr_info"].as_array().into_iter().flatten();
        let global = addresses.filter(|address| address["scope"] == "global");
        let text = |a: &Value| format!("{}/{}", a["local"].as_str().unwrap_or("?"), a["prefixlen"]);
        global.map(text).collect()
    }

    /// Asserts that a failed ADD left nothing on the host, no lease, and no `eth0` in `c1`.
    #[track_caller]
    pub fn nothing_made(&self, before: &Snapshot) {
        self.nothing_left(before);
        assert!(!self.has_link("c1", "eth0"));
        // Where tunnels have been used, the kernel gives every namespace some (`gre0`).
        let links = "ip -o link show | cut -d: -f2";
        let given = self.sh(&format!("unshare --net sh -c '{links}'"));
        assert_eq!(self.sh_in("c1", links), given, "a link is left");
    }
}

/// An `ipam` object for host-local with a subnet of each family and a default route in each.
pub fn dual_stack() -> Value {
    json!({
        "type": "host-local",
        "ranges": [
            [{ "subnet": "10.9.0.0/24", "rangeStart": "10.9.0.10", "gateway": "10.9.0.2" }],
            [{ "subnet": "fd00:9::/64", "rangeStart": "fd00:9::10", "gateway": "fd00:9::2" }],
        ],
        "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }],
    })
}

/// The same with a route that the kernel refuses.
pub fn with_unreachable_route() -> Value {
    let mut ipam = dual_stack();
    ipam["routes"] = json!([{ "dst": "10.77.0.0/16", "gw": "10.78.0.1" }]);
    ipam
}
