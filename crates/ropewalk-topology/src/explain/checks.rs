//! What the kernel itself asks of a packet, besides rules and routes: forwarding, where it says it
//! comes from, whether IPv6 is on. Each "no" names the sysctl that says so.

use alloc::{boxed::Box, format, string::String};
use core::net::IpAddr;

use super::{
    remedies,
    routes::kind,
    sources::{self, Disbelief, forwards, setting},
    trace::{End, Stop, Told},
    walk::Walker,
};
use crate::{
    graph::LinkAt,
    model::{Content, Link},
};

impl Walker<'_> {
    /// A sysctl that keeps a packet from going on.
    pub(super) fn forbidden(
        &self,
        namespace: usize,
        reason: String,
        name: &str,
        value: &str,
    ) -> End {
        let (show, change) = remedies::of_setting(self.host, namespace, name, value);
        End::Stopped(Box::new(Stop {
            namespace,
            place: "route".into(),
            reason,
            told: Told::Nothing,
            rule: None,
            shown_by: Some(show),
            changed_by: Some(change),
        }))
    }

    /// Packets from the loopback stay there.
    pub(super) fn check_source(
        &self,
        content: &Content,
        at: LinkAt,
        link: &Link,
    ) -> Result<(), End> {
        let is_inner = matches!(self.packet.source, IpAddr::V4(ip) if ip.is_loopback());
        let takes = || {
            sources::of_link_or_all(content, link, setting::ROUTE_LOCALNET, "route_localnet") != 0
        };
        if !is_inner || link.is_loopback() || takes() {
            return Ok(());
        }
        let (source, name) = (self.packet.source, &link.name);
        let setting = format!("ipv4/conf/{name}/route_localnet");
        let reason = format!("{source} must not leave by {name}: route_localnet is off");
        Err(self.forbidden(at.namespace, reason, &setting, "1"))
    }

    /// What IPv6 refuses before anything is asked.
    pub(super) fn check_address_family(&self, at: LinkAt, link: &Link) -> Result<(), End> {
        if !self.packet.is_v6() {
            return Ok(());
        }
        let value = link.ipv6_settings.get(setting::DISABLE_IPV6).copied().unwrap_or_default();
        if value != 0 || link.ipv6_settings.is_empty() {
            let name = format!("ipv6/conf/{}/disable_ipv6", link.name);
            let reason = format!("IPv6 is off on {}", link.name);
            return Err(self.forbidden(at.namespace, reason, &name, "0"));
        }
        let is_inner =
            [self.packet.source, self.packet.destination].iter().any(IpAddr::is_loopback);
        if is_inner && !link.is_loopback() {
            let reason = "::1 must not come from outside".into();
            return Err(self.stop(at.namespace, "route", reason, Told::Nothing));
        }
        Ok(())
    }

    /// What the sender hears when a route or rule of this kind (`RTN_…`) refuses what was sent here,
    /// or came in by a link.
    pub(super) fn told(&self, kind: u8, by: Option<&Link>) -> Told {
        let speaks = |link| self.packet.is_v6() || forwards(link);
        match by {
            Some(link) if kind == kind::BLACKHOLE || !speaks(link) => Told::Nothing,
            Some(_) | None => Told::Error,
        }
    }

    pub(super) fn check_forwarding(
        &self,
        content: &Content,
        at: LinkAt,
        link: &Link,
    ) -> Result<(), End> {
        if self.packet.is_v6() {
            let all = content.setting("ipv6/conf/all/forwarding").unwrap_or("0");
            let forced = link.ipv6_settings.get(setting::FORCE_FORWARDING).copied();
            if all != "0" || forced.unwrap_or_default() != 0 {
                return Ok(());
            }
            let reason = "it forwards no IPv6".into();
            return Err(self.forbidden(at.namespace, reason, "ipv6/conf/all/forwarding", "1"));
        }
        if forwards(link) {
            return Ok(());
        }
        let is_on = content.setting("ipv4/ip_forward").is_some_and(|value| value != "0");
        let of_link = format!("ipv4/conf/{}/forwarding", link.name);
        let (name, reason) = if is_on {
            (of_link.as_str(), format!("it forwards no IPv4 from {}", link.name))
        } else {
            ("ipv4/ip_forward", "it forwards no IPv4".into())
        };
        Err(self.forbidden(at.namespace, reason, name, "1"))
    }

    pub(super) fn disbelieved(&self, at: LinkAt, link: &Link, disbelief: Disbelief) -> End {
        let (source, name) = (self.packet.source, &link.name);
        let of_link = |setting: &str| format!("ipv4/conf/{name}/{setting}");
        match disbelief {
            Disbelief::Own => {
                let reason =
                    format!("it comes in by {name} from {source}, which is an own address");
                self.forbidden(at.namespace, reason, &of_link("accept_local"), "1")
            }
            Disbelief::OtherWay(value) => {
                let reason = format!(
                    "rp_filter is {value} on {name}, and the way back to {source} is another one"
                );
                self.forbidden(at.namespace, reason, &of_link("rp_filter"), "2")
            }
            Disbelief::NoWay(value) => {
                let reason =
                    format!("rp_filter is {value} on {name}, and there is no way back to {source}");
                self.forbidden(at.namespace, reason, &of_link("rp_filter"), "0")
            }
            Disbelief::Loopback => {
                let reason = format!("loopback addresses must not come in by {name}");
                self.forbidden(at.namespace, reason, &of_link("route_localnet"), "1")
            }
            Disbelief::Unsure(why) => self.unknown(at.namespace, "route", why),
        }
    }
}
