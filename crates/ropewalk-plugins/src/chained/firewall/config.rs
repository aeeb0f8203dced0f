//! The configuration of `firewall`.

use ropewalk_cni::{CniError, Fields, Request, config_error};

/// Which firewall does the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    /// nftables, unless the host's iptables would drop.
    Automatic,
    Iptables,
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
    pub(crate) ingress_policy: IngressPolicy,
}

impl Config {
    pub(crate) fn read(request: &Request) -> Result<Self, CniError> {
        let fields = Fields::new(&request.raw, "");
        let config = Self::from_fields(&fields);
        fields.finish().map_err(|errors| config_error("", &errors))?;
        Ok(config)
    }

    fn from_fields(fields: &Fields<'_>) -> Self {
        let backend = match fields.string("backend").as_deref() {
            Some("iptables") => Backend::Iptables,
            Some("firewalld") => {
                fields.report_at("backend", firewalld_missing());
                Backend::Automatic
            }
            // Any other word has always meant "choose for me".
            _ => Backend::Automatic,
        };
        fields.allow(&["firewalldZone"]);
        let ingress_policy = match fields.string("ingressPolicy").as_deref() {
            None | Some("" | "open") => IngressPolicy::Open,
            Some("same-bridge") => IngressPolicy::SameBridge,
            Some("isolated") => IngressPolicy::Isolated,
            Some(other) => {
                fields.report_at("ingressPolicy", format!("unknown ingress policy: {other:?}"));
                IngressPolicy::Open
            }
        };
        let admin_chain = fields.string("iptablesAdminChainName").filter(|name| !name.is_empty());
        let admin_chain = admin_chain.unwrap_or_else(|| "CNI-ADMIN".to_owned());
        Self { backend, admin_chain, ingress_policy }
    }
}

/// Reads everything, so that `lint` finds what is wrong without a request.
pub(crate) fn lint(fields: &Fields<'_>) {
    Config::from_fields(fields);
}

fn firewalld_missing() -> &'static str {
    "the firewalld backend is not supported; hint: leave \"backend\" out, and firewalld's own rules \
     decide about containers' addresses by their zone"
}
