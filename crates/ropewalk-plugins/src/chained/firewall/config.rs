//! The configuration of `firewall`.

use ropewalk_cni::{CniError, Fields, Request};

use crate::config;

/// No zone has a longer name: firewalld makes chains of it, and so takes 17 bytes at most. More is
/// let through, so that firewalld can say so itself.
const LONGEST_ZONE: usize = 255;

/// Which firewall does the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    /// firewalld where it runs, else nftables, unless the host's iptables would drop.
    Automatic,
    Iptables,
    Firewalld,
}

/// Who may reach a container from another bridge, or from its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IngressPolicy {
    /// Everybody whom the host lets pass.
    Open,
    /// Of containers, those on the same bridge.
    SameBridge,
    /// Of containers, nobody.
    Isolated,
}

impl IngressPolicy {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::SameBridge => "same-bridge",
            Self::Isolated => "isolated",
        }
    }
}

/// The configuration, checked.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) backend: Backend,
    pub(crate) admin_chain: String,
    pub(crate) zone: String,
    pub(crate) ingress_policy: IngressPolicy,
    /// Whether packets that belong to no connection, as far as this host sees, are dropped.
    pub(crate) drop_invalid: bool,
}

impl Config {
    pub(crate) fn read(request: &Request) -> Result<Self, CniError> {
        config::read(request, "", Self::from_fields)
    }

    fn from_fields(fields: &Fields<'_>) -> Self {
        let backend = match fields.string("backend").as_deref() {
            Some("iptables") => Backend::Iptables,
            Some("firewalld") => Backend::Firewalld,
            // A chain of the administrator's is one of iptables.
            _ if fields.string("iptablesAdminChainName").is_some() => Backend::Iptables,
            // Any other word has always meant "choose for me".
            _ => Backend::Automatic,
        };
        let ingress_policy = match fields.string("ingressPolicy").as_deref() {
            None | Some("" | "open") => IngressPolicy::Open,
            Some("same-bridge") => IngressPolicy::SameBridge,
            Some("isolated") => IngressPolicy::Isolated,
            Some(other) => {
                fields.report_at("ingressPolicy", format!("unknown ingress policy: {other:?}"));
                IngressPolicy::Open
            }
        };
        let name = |key, default: &str| fields.text(key).unwrap_or_else(|| default.to_owned());
        let admin_chain = name("iptablesAdminChainName", "CNI-ADMIN");
        let zone = name("firewalldZone", "trusted");
        if zone.contains('\0') || zone.len() > LONGEST_ZONE {
            fields.report_at("firewalldZone", format!("invalid firewalld zone: {zone:?}"));
        }
        let drop_invalid = fields.bool("dropInvalid").unwrap_or_default();
        Self { backend, admin_chain, zone, ingress_policy, drop_invalid }
    }
}

/// Reads everything, so that `lint` finds what is wrong without a request.
pub(crate) fn lint(fields: &Fields<'_>) {
    Config::from_fields(fields);
}
