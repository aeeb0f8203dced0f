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
                       host, since, free_at, kept_for, is_reserved, block";

/// An address that somebody has or had, or that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The address.
    pub ip: IpAddr,
    /// The space in which it is given once.
    pub space: String,
    /// The pool that it is from; empty if nobody has had it.
    pub pool: String,
    /// The block of the pool; empty if it is of none.
    pub block: String,
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
    /// The name that it is kept or reserved for, also while somebody has it.
    pub name: Option<String>,
    /// Whether it is reserved, for the name or for nobody, also while somebody has it.
    pub is_reserved: bool,
}

/// What became of a lease that was imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imported {
    /// It was written.
    New,
    /// The same was there.
    Known,
    /// It was not written: the address is somebody else's.
    Taken(Box<Lease>),
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

    /// Writes leases that others have given, in one transaction. Who has an address keeps it; one
    /// that is free becomes the lease's, and stays reserved for whom it is. The answer tells of each
    /// lease what became of it.
    pub fn import(&mut self, leases: &[Lease]) -> Result<Vec<Imported>, Trouble> {
        self.begin(&[])?;
        self.import_begun(leases).inspect_err(|_| self.database.give_up())
    }

    fn import_begun(&mut self, leases: &[Lease]) -> Result<Vec<Imported>, Trouble> {
        let statements: Vec<Statement<'_>> = leases.iter().map(importing).collect();
        let written = self.database.run(&statements)?;
        let mut fates = Vec::new();
        for (wanted, answer) in leases.iter().zip(written) {
            fates.push(if answer.changed > 0 { Imported::New } else { self.instead_of(wanted)? });
        }
        self.database.one("COMMIT", Vec::new())?;
        Ok(fates)
    }

    /// What is there in the place of a lease that was not written.
    fn instead_of(&mut self, wanted: &Lease) -> Result<Imported, Trouble> {
        let sql = format!("SELECT {COLUMNS} FROM ropewalk_lease WHERE address = $1 AND space = $2");
        let found = self.database.one(&sql, vec![some(wanted.ip), some(&wanted.space)])?.rows;
        let Some(found) = found.first().and_then(lease) else { return Ok(Imported::Known) };
        let is_same = match (&wanted.state, &found.state) {
            (State::Held, State::Held) => wanted.holder == found.holder,
            (State::Held, _) | (_, State::Free(_)) => false,
            _ => (&wanted.name, wanted.is_reserved) == (&found.name, found.is_reserved),
        };
        Ok(if is_same { Imported::Known } else { Imported::Taken(Box::new(found)) })
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
        name: text(12).filter(|name| !name.is_empty()),
        is_reserved: number(13) == Some(1),
        block: text(14)?,
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

/// Writes a lease, unless somebody has the address. One that is known stays in the run that knows
/// it. A holder has one address of a group; what else
/// it has is of a group of its own.
fn importing(lease: &Lease) -> Statement<'static> {
    let sql = "INSERT INTO ropewalk_lease AS lease (address, space, pool, block, slot, network, \
               container, interface, pod, namespace, host, since, free_at, kept_for, is_reserved) \
               VALUES ($1, $2, $3, $4, CASE WHEN EXISTS (SELECT 1 FROM ropewalk_lease other \
               WHERE other.network = $6 AND other.container = $7 AND other.interface = $8 \
               AND other.slot = $5 AND other.free_at IS NULL \
               AND NOT (other.address = $1 AND other.space = $2)) \
               THEN $5 || ' ' || $1 || ' ' || $2 ELSE $5 END, \
               $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) \
               ON CONFLICT (address, space) DO UPDATE SET \
               slot = excluded.slot, \
               network = excluded.network, container = excluded.container, \
               interface = excluded.interface, pod = excluded.pod, \
               namespace = excluded.namespace, host = excluded.host, since = excluded.since, \
               free_at = excluded.free_at, \
               kept_for = CASE WHEN lease.is_reserved = 1 THEN lease.kept_for \
               ELSE excluded.kept_for END, \
               is_reserved = CASE WHEN lease.is_reserved = 1 THEN 1 ELSE excluded.is_reserved END \
               WHERE lease.free_at IS NOT NULL \
               AND (excluded.free_at IS NULL OR lease.kept_for IS NULL)";
    let holder = &lease.holder;
    let free_at = match lease.state {
        State::Held => None,
        State::Free(from) | State::Kept(_, from) => some(from),
        State::Reserved(_) => some(NEVER),
    };
    let values = vec![
        some(lease.ip),
        some(&lease.space),
        some(&lease.pool),
        some(&lease.block),
        some(&lease.group),
        some(&holder.network),
        some(&holder.container),
        some(&holder.interface),
        lease.pod.clone(),
        lease.namespace.clone(),
        some(&lease.host),
        some(lease.since),
        free_at,
        lease.name.clone().or(lease.is_reserved.then(String::new)),
        some(u8::from(lease.is_reserved)),
    ];
    Statement::new(sql, values)
}
