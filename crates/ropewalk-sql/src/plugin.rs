//! The verbs of `sql`: from a configuration to questions for the ledger, and from its answers and
//! troubles to results and error codes.

use std::time::{Duration, SystemTime};

use ropewalk_cni::{
    AttachmentId, Cidr, CniError, CniResult, ErrorCode, IpConfig, Request, valid_attachments,
};
use ropewalk_ledger::{
    Blocks, Claim, Group, Holder, Kind, Ledger, Location, Options, Pool, Rest, Trouble,
};
use ropewalk_plugins::{
    Gate, IpamPlugin, SlowIpam,
    sql::{Config, Grouped, PoolConfig},
};

/// The plugin.
pub(crate) struct Sql;

/// A lease that is this much older than the list of valid attachments may have been on its way when
/// the list was made.
const LAG: u64 = 1;

impl IpamPlugin for Sql {
    fn claim(&self, request: &Request) -> Result<CniResult, CniError> {
        self.claim_behind(&Gate::open(), request)
    }

    fn slow(&self) -> Option<&dyn SlowIpam> {
        Some(self)
    }

    fn preview(&self, _request: &Request) -> Result<CniResult, CniError> {
        Err(CniError::internal("cannot foresee which addresses sql would give"))
    }

    fn confirm(&self, request: &Request) -> Result<(), CniError> {
        let config = Config::read(request)?;
        let held = open(&config)?.held(&holder(request)).map_err(|trouble| error(&trouble))?;
        if held.is_empty() {
            return Err(CniError::internal(format!(
                "sql: Failed to find address added by container {}",
                request.container_id
            )));
        }
        Ok(())
    }

    fn release(&self, request: &Request) -> Result<(), CniError> {
        let config = Config::read(request)?;
        let released = open(&config)?.release(&holder(request), rest(&config));
        released.map(drop).map_err(|trouble| error(&trouble))
    }

    fn collect(&self, request: &Request) -> Result<(), CniError> {
        let Some(valid) = valid_attachments(&request.raw)? else {
            return Ok(());
        };
        let config = Config::read(request)?;
        let until = valid.until.map_or(u64::MAX, lagging);
        let is_valid = |holder: &Holder| {
            valid
                .attachments
                .iter()
                .any(|id| id.container_id == holder.container && id.ifname == holder.interface)
        };
        let collected =
            open(&config)?.collect(&request.network, &host(&config), rest(&config), |lease| {
                lease.since >= until || is_valid(&lease.holder)
            });
        collected.map(drop).map_err(|trouble| error(&trouble))
    }

    /// A database that cannot be reached, or a group without a free address, means that no ADD can
    /// succeed. Containers that are there are none the worse for it.
    fn status(&self, request: &Request) -> Result<(), CniError> {
        let config = Config::read(request)?;
        let unavailable = |error: CniError| match error.code {
            code if code == ErrorCode::InvalidConfig.number() => error,
            _ => CniError { code: ErrorCode::NotAvailable.number(), ..error },
        };
        let groups: Vec<_> = config.all_groups().into_iter().map(Alternatives::new).collect();
        let claim = claim(&config, holder(request), &groups);
        let would = open(&config)
            .and_then(|mut ledger| ledger.try_claim(&claim).map_err(|trouble| error(&trouble)));
        would.map_err(unavailable)
    }
}

/// A file is opened and its tables are read, or a server is reached, before the gate.
impl SlowIpam for Sql {
    fn claim_behind(&self, gate: &Gate, request: &Request) -> Result<CniResult, CniError> {
        let config = Config::read(request)?;
        let dns = config.dns()?;
        let groups: Vec<_> = config.groups().into_iter().map(Alternatives::new).collect();
        if groups.is_empty() {
            return Err(CniError::internal("no pool is for this attachment"));
        }
        let claim = claim(&config, holder(request), &groups);
        let mut ledger = open(&config)?;
        gate.pass()?;
        let given = ledger.claim(&claim).map_err(|trouble| error(&trouble))?;
        let ips = given.iter().map(|given| {
            let address = Cidr { ip: given.ip, prefix: given.pool.subnet.length() };
            IpConfig { interface: None, address, gateway: Some(given.pool.gateway) }
        });
        let ips = ips.collect();
        Ok(CniResult { interfaces: Vec::new(), ips, routes: config.routes, dns })
    }

    fn since(&self, request: &Request, moment: Duration) -> Result<Vec<AttachmentId>, CniError> {
        let config = Config::read(request)?;
        let found = open(&config)?.holders_since(&request.network, &host(&config), lagging(moment));
        let holders = found.map_err(|trouble| error(&trouble))?.into_iter();
        let attachment = |holder: Holder| AttachmentId {
            container_id: holder.container,
            ifname: holder.interface,
        };
        Ok(holders.map(attachment).collect())
    }
}

/// The second in which a lease may have been on its way at this moment.
fn lagging(moment: Duration) -> u64 {
    moment.as_secs().saturating_sub(LAG)
}

fn claim<'a>(config: &Config, holder: Holder, groups: &'a [Alternatives]) -> Claim<'a> {
    let wanting = &config.wanting;
    Claim {
        holder,
        space: config.space.clone(),
        pod: wanting.pod.clone(),
        namespace: wanting.namespace.clone(),
        host: host(config),
        name: wanting.name(),
        is_kept: config.keep > 0,
        now: now(),
        groups: groups.iter().map(Alternatives::group).collect(),
        wanted: config.requested.clone(),
    }
}

fn open(config: &Config) -> Result<Ledger, CniError> {
    let invalid = |text| CniError::invalid_config(text).with_details("at ipam.database");
    let mut location = Location::parse(&config.database).map_err(invalid)?;
    if let (Location::Server(server), Some(file)) = (&mut location, &config.password_file) {
        server.password_file = Some(file.clone());
    }
    let patience = Duration::from_secs(config.deadline);
    let options = Options { patience, sync: config.sync, ..Options::default() };
    Ledger::open(&location, &options).map_err(|trouble| error(&trouble))
}

/// What passes by itself is worth another try; everything else is for a person.
fn error(trouble: &Trouble) -> CniError {
    let code =
        if trouble.kind.is_transient() { ErrorCode::TryAgainLater } else { ErrorCode::Internal };
    let message = match trouble.kind {
        Kind::Duplicate | Kind::Unavailable | Kind::Exhausted => {
            format!("failed to allocate: {trouble}")
        }
        _ => trouble.to_string(),
    };
    let error = CniError::new(code, message);
    if trouble.hint.is_empty() {
        return error;
    }
    error.with_details(format!("hint: {}", trouble.hint))
}

fn holder(request: &Request) -> Holder {
    Holder {
        network: request.network.clone(),
        container: request.container_id.clone(),
        interface: request.ifname.clone(),
    }
}

fn rest(config: &Config) -> Rest {
    Rest { now: now(), cooldown: config.cooldown, keep: config.keep }
}

/// This host's name, as configured or as the kernel knows it.
fn host(config: &Config) -> String {
    config.host.clone().unwrap_or_else(ropewalk_linux::host_name)
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// A group of pools, as the ledger knows them.
struct Alternatives {
    name: String,
    pools: Vec<Pool>,
}

impl Alternatives {
    fn new((name, pools): Grouped<'_>) -> Self {
        Self { name: name.to_owned(), pools: pools.into_iter().map(pool).collect() }
    }

    fn group(&self) -> Group<'_> {
        Group { name: self.name.clone(), pools: self.pools.iter().collect() }
    }
}

fn pool(config: &PoolConfig) -> Pool {
    let range = &config.range;
    let blocks = config.share.map(|share| Blocks {
        prefix: share.prefix,
        most: share.most,
        borrow: share.borrow,
    });
    Pool {
        name: config.name.clone(),
        subnet: range.subnet,
        start: range.start,
        end: range.end,
        gateway: range.gateway,
        excluded: range.excluded.clone(),
        reserved: config.reserved.clone(),
        blocks,
    }
}
