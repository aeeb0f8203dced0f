//! The books for people: what is in them, and mending them by hand.

use std::{fmt::Write as _, net::IpAddr};

use crate::{
    database::{Row, Statement, Value, some},
    ledger::{Holder, Ledger, NEVER, Rest},
    trouble::Trouble,
};

/// How many rows are read at once.
const PAGE: usize = 5000;

const COLUMNS: &str = "address, space, pool, slot, network, container, interface, pod, namespace, \
                       host, since, free_at, kept_for, is_reserved";

/// An address that somebody has or had, or that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The address.
    pub ip: IpAddr,
    /// The space in which it is given once.
    pub space: String,
    /// The pool that it is from; empty if nobody has had it.
    pub pool: String,
    /// The group of pools that it was given of.
    pub group: String,
    /// Who has it, or had it last.
    pub holder: Holder,
    /// The holder's pod.
    pub pod: Option<String>,
    /// The pod's namespace.
    pub namespace: Option<String>,
    /// The host that it was given on.
    pub host: String,
    /// Since when, in seconds since 1970.
    pub since: u64,
    /// What it is now.
    pub state: State,
}

/// What becomes of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Its holder has it.
    Held,
    /// From this moment on anybody may have it.
    Free(u64),
    /// It is kept for a name until then.
    Kept(String, u64),
    /// It is reserved for a name, or for nobody.
    Reserved(Option<String>),
}

/// A pool or a block of a host, and how full it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The space of addresses.
    pub space: String,
    /// The pool's name.
    pub pool: String,
    /// The block's first address; empty for the pool itself.
    pub block: String,
    /// The ends of its range.
    pub ends: (String, String),
    /// The host that has the block.
    pub host: Option<String>,
    /// How many addresses are held.
    pub held: u64,
    /// How many are kept or reserved for names.
    pub kept: u64,
}

/// Which leases are of interest.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only of this network.
    pub network: Option<String>,
    /// Only of this host.
    pub host: Option<String>,
    /// Only of this container.
    pub container: Option<String>,
    /// Only this address.
    pub ip: Option<IpAddr>,
    /// Only addresses that somebody has.
    pub is_held: bool,
}

impl Ledger {
    /// Reads leases, ascending by address as text, and tells them one by one.
    pub fn leases(&mut self, filter: &Filter, mut tell: impl FnMut(Lease)) -> Result<(), Trouble> {
        let mut last = (String::new(), String::new());
        loop {
            let rows = self.read(page(filter, &last))?.rows;
            let count = rows.len();
            if let Some([Some(address), Some(space), ..]) = rows.last().map(Vec::as_slice) {
                last = (address.clone(), space.clone());
            }
            rows.iter().filter_map(lease).for_each(&mut tell);
            if count < PAGE {
                return Ok(());
            }
        }
    }

    /// All pools and blocks.
    pub fn runs(&mut self) -> Result<Vec<Run>, Trouble> {
        let sql = "SELECT p.space, p.pool, p.block, p.first, p.last, p.host, \
                   (SELECT count(*) FROM ropewalk_lease l WHERE l.space = p.space AND \
                   l.pool = p.pool AND l.block = p.block AND l.free_at IS NULL), \
                   (SELECT count(*) FROM ropewalk_lease l WHERE l.space = p.space AND \
                   l.pool = p.pool AND l.block = p.block AND l.kept_for IS NOT NULL) \
                   FROM ropewalk_pool p ORDER BY p.space, p.pool, p.block";
        let rows = self.read(Statement::plain(sql))?.rows;
        Ok(rows.into_iter().filter_map(run).collect())
    }

    /// Reserves an address for a name, or for nobody; `false` if somebody has it.
    pub fn reserve(
        &mut self,
        space: &str,
        ip: IpAddr,
        name: Option<&str>,
        now: u64,
    ) -> Result<bool, Trouble> {
        let sql = format!(
            "INSERT INTO ropewalk_lease AS lease (address, space, pool, block, slot, network, \
             container, interface, host, since, free_at, kept_for, is_reserved) \
             VALUES ($1, $2, '', '', '', '', '', '', '', $3, {NEVER}, $4, 1) \
             ON CONFLICT (address, space) DO UPDATE SET free_at = excluded.free_at, \
             kept_for = excluded.kept_for, is_reserved = 1 WHERE lease.free_at IS NOT NULL"
        );
        let values = vec![some(ip), some(space), some(now), some(name.unwrap_or_default())];
        let write = Statement::new(sql, values);
        self.begin(&[])?;
        let answers = self.database.run(&[write, Statement::plain("COMMIT")]);
        let answers = answers.inspect_err(|_| self.database.give_up())?;
        Ok(answers.first().is_some_and(|answer| answer.changed == 1))
    }

    /// Gives one address back, whoever has it, and drops what it is reserved or kept for. The
    /// answer is whether there was anything.
    pub fn free(&mut self, space: &str, ip: IpAddr, rest: Rest) -> Result<bool, Trouble> {
        let until = rest.now.saturating_add(rest.cooldown);
        let sql = "UPDATE ropewalk_lease SET free_at = $3, kept_for = NULL, is_reserved = 0 \
                   WHERE address = $1 AND space = $2 AND (free_at IS NULL OR kept_for IS NOT NULL)";
        let values = vec![some(ip), some(space), some(until)];
        let unused = "DELETE FROM ropewalk_lease WHERE address = $1 AND space = $2 AND pool = '' \
                      AND free_at IS NOT NULL AND kept_for IS NULL";
        let unused = Statement::new(unused, vec![some(ip), some(space)]);
        let answers = self.change(&[Statement::new(sql, values), unused])?;
        Ok(answers.first().is_some_and(|answer| answer.changed > 0))
    }

    /// Ends what was kept for long enough, and gives up blocks of a host that are empty. The answer
    /// is how many addresses and blocks these were.
    pub fn sweep(&mut self, host: &str, now: u64) -> Result<(u64, u64), Trouble> {
        let expired = "UPDATE ropewalk_lease SET kept_for = NULL WHERE kept_for IS NOT NULL AND \
                       is_reserved = 0 AND free_at <= $1";
        let empty = "UPDATE ropewalk_pool SET host = NULL WHERE host = $1 AND block <> '' AND \
                     NOT EXISTS (SELECT 1 FROM ropewalk_lease l WHERE l.space = \
                     ropewalk_pool.space AND l.pool = ropewalk_pool.pool AND \
                     l.block = ropewalk_pool.block AND l.free_at IS NULL)";
        let answers = self.change(&[
            Statement::new(expired, vec![some(now)]),
            Statement::new(empty, vec![some(host)]),
        ])?;
        let changed = |index: usize| answers.get(index).map_or(0, |answer| answer.changed);
        Ok((changed(0), changed(1)))
    }

    /// Writes leases that others have given, in one transaction; what is there stays. The answer is
    /// how many were new.
    pub fn import(&mut self, leases: &[Lease]) -> Result<u64, Trouble> {
        self.begin(&[])?;
        let mut statements: Vec<Statement<'_>> = leases.iter().map(importing).collect();
        statements.push(Statement::plain("COMMIT"));
        let answers = self.database.run(&statements);
        let answers = answers.inspect_err(|_| self.database.give_up())?;
        Ok(answers.iter().take(leases.len()).map(|answer| answer.changed).sum())
    }
}

fn page(filter: &Filter, (address, space): &(String, String)) -> Statement<'static> {
    let mut values = vec![some(address), some(space)];
    let mut conditions = String::new();
    let ip = filter.ip.map(|ip| ip.to_string());
    let wanted = [
        ("network", &filter.network),
        ("host", &filter.host),
        ("container", &filter.container),
        ("address", &ip),
    ];
    for (column, value) in wanted.into_iter().filter(|(_, value)| value.is_some()) {
        values.push(value.clone());
        // Writing to a String cannot fail.
        let _ = write!(conditions, " AND {column} = ${}", values.len());
    }
    if filter.is_held {
        conditions.push_str(" AND free_at IS NULL");
    }
    let sql = format!(
        "SELECT {COLUMNS} FROM ropewalk_lease WHERE (address, space) > ($1, $2){conditions} \
         ORDER BY address, space LIMIT {PAGE}"
    );
    Statement::new(sql, values)
}

fn lease(row: &Row) -> Option<Lease> {
    let text = |index: usize| row.get(index).cloned().flatten();
    let number = |index: usize| -> Option<u64> { text(index)?.parse().ok() };
    let name = text(12).filter(|name| !name.is_empty());
    let state = match (number(11), text(12)) {
        (None, _) => State::Held,
        (Some(_), Some(_)) if number(13) == Some(1) => State::Reserved(name),
        (Some(until), Some(name)) => State::Kept(name, until),
        (Some(from), None) => State::Free(from),
    };
    Some(Lease {
        ip: text(0)?.parse().ok()?,
        space: text(1)?,
        pool: text(2)?,
        group: text(3)?,
        holder: Holder { network: text(4)?, container: text(5)?, interface: text(6)? },
        pod: text(7),
        namespace: text(8),
        host: text(9)?,
        since: number(10)?,
        state,
    })
}

fn run(row: Row) -> Option<Run> {
    let [space, pool, block, first, last, host, held, kept]: [Value; 8] = row.try_into().ok()?;
    Some(Run {
        space: space?,
        pool: pool?,
        block: block?,
        ends: (first?, last?),
        host: host.filter(|host| !host.is_empty()),
        held: held?.parse().ok()?,
        kept: kept?.parse().ok()?,
    })
}

fn importing(lease: &Lease) -> Statement<'static> {
    let sql = "INSERT INTO ropewalk_lease (address, space, pool, block, slot, network, container, \
               interface, pod, namespace, host, since) \
               VALUES ($1, $2, $3, '', $4, $5, $6, $7, $8, $9, $10, $11) \
               ON CONFLICT (address, space) DO NOTHING";
    let holder = &lease.holder;
    let values = vec![
        some(lease.ip),
        some(&lease.space),
        some(&lease.pool),
        some(&lease.group),
        some(&holder.network),
        some(&holder.container),
        some(&holder.interface),
        lease.pod.clone(),
        lease.namespace.clone(),
        some(&lease.host),
        some(lease.since),
    ];
    Statement::new(sql, values)
}
