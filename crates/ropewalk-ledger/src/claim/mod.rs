//! Claiming addresses: one of each group, all or none.
//!
//! A claim looks at a few rows, however many leases there are: the next address that nobody has had
//! yet, and the one that has been free for longest. Whether an address is really free is decided by
//! the database when its row is written.

mod run;
mod shelf;

use std::net::IpAddr;

use crate::{
    database::{Answer, Statement, Value, some},
    ledger::{Holder, Ledger, Rest, held, release},
    pool::Pool,
    trouble::{Kind, Trouble},
};

use self::shelf::Shelf;

/// How often a claim is begun anew that was in the way of another.
const ATTEMPTS: usize = 8;

/// What somebody wants.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    /// Who.
    pub holder: Holder,
    /// The name of the space of addresses, in which none is given twice.
    pub space: String,
    /// The pod, for people.
    pub pod: Option<String>,
    /// The pod's namespace, for people.
    pub namespace: Option<String>,
    /// On which host.
    pub host: String,
    /// The name that addresses may be reserved or kept for.
    pub name: Option<String>,
    /// Whether the addresses are to be kept for the name.
    pub is_kept: bool,
    /// Now, in seconds since 1970.
    pub now: u64,
    /// One address of each.
    pub groups: Vec<Group<'a>>,
    /// Addresses that are wanted and no others, where a group has one of them.
    pub wanted: Vec<IpAddr>,
}

/// Pools that are alternatives, in the order in which they are tried.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// Its name.
    pub name: String,
    /// At least one.
    pub pools: Vec<&'a Pool>,
}

/// An address that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given<'a> {
    /// The address.
    pub ip: IpAddr,
    /// Where it is from.
    pub pool: &'a Pool,
}

impl Ledger {
    /// Leases one address of each group. A failure leaves nothing leased; if the connection is lost
    /// at the very end and cannot be had again, the message says so.
    pub fn claim<'a>(&mut self, claim: &Claim<'a>) -> Result<Vec<Given<'a>>, Trouble> {
        let mut attempt = 1;
        loop {
            let trouble = match self.in_transaction(claim) {
                Ok(given) => return Ok(given),
                Err(trouble) => trouble,
            };
            match trouble.kind {
                Kind::Conflict if attempt < ATTEMPTS => self.refuse_second(claim)?,
                Kind::Exhausted | Kind::Unavailable => {
                    self.refuse_second(claim)?;
                    return Err(trouble);
                }
                _ => return Err(trouble),
            }
            attempt += 1;
        }
    }

    /// What was in the way of a claim may be that its holder has an address already.
    fn refuse_second(&mut self, claim: &Claim<'_>) -> Result<(), Trouble> {
        let held = self.read(held(&claim.holder))?.rows;
        let is_wanted = |slot: &str| claim.groups.iter().any(|group| group.name == slot);
        let address = held.into_iter().find_map(|row| match &row[..] {
            [Some(slot), Some(address)] if is_wanted(slot) => Some(address.clone()),
            _ => None,
        });
        let Some(address) = address else { return Ok(()) };
        let container = &claim.holder.container;
        let text = format!(
            "{address} has been allocated to {container}, duplicate allocation is not allowed"
        );
        Err(Trouble::new(Kind::Duplicate, text))
    }

    fn in_transaction<'a>(&mut self, claim: &Claim<'a>) -> Result<Vec<Given<'a>>, Trouble> {
        let given = match Claiming::begin(self, claim).and_then(|mut claiming| claiming.serve()) {
            Ok(given) => given,
            Err(trouble) => {
                self.database.give_up();
                return Err(trouble);
            }
        };
        match self.database.one("COMMIT", Vec::new()) {
            Ok(_) => Ok(given),
            Err(trouble) => Err(self.take_back(claim, trouble)),
        }
    }

    /// The end of the transaction failed, which may have been done all the same. The rows that it
    /// has locked are waited for, so that it is over when its leases are looked for.
    fn take_back(&mut self, claim: &Claim<'_>, trouble: Trouble) -> Trouble {
        self.database.give_up();
        if trouble.kind != Kind::Unreachable {
            return trouble;
        }
        let again = || -> Result<(), Trouble> {
            let mut ledger = Self::open(&self.location, &self.options)?;
            let lock_rows = ledger.database.dialect().lock_rows;
            ledger.begin(&shelf::reads(claim, lock_rows))?;
            let rest = Rest { now: claim.now, cooldown: 0, keep: 0 };
            let end = [release(&claim.holder, rest), Statement::plain("COMMIT")];
            ledger.database.run(&end).map(drop)
        };
        match again() {
            Ok(()) => trouble,
            Err(second) => {
                let message = format!(
                    "{trouble}; whether addresses were leased is not known, DEL or GC gives them \
                     back: {second}"
                );
                Trouble { message, ..trouble }
            }
        }
    }
}

impl Ledger {
    /// Whether a claim would succeed now: does all of it, and takes it back.
    pub fn try_claim(&mut self, claim: &Claim<'_>) -> Result<(), Trouble> {
        let claimed = Claiming::begin(self, claim).and_then(|mut claiming| claiming.serve());
        self.database.give_up();
        claimed.map(drop)
    }
}

/// A claim within its transaction.
struct Claiming<'l, 'c, 'a> {
    ledger: &'l mut Ledger,
    claim: &'c Claim<'a>,
    /// Addresses that are kept or reserved for the name.
    kept: Vec<IpAddr>,
    /// What is wanted and was not given yet.
    wanted: Vec<IpAddr>,
    /// For each group its pools.
    shelves: Vec<Vec<Shelf<'a>>>,
}

impl<'l, 'c, 'a> Claiming<'l, 'c, 'a> {
    /// Begins the transaction, reads what is needed and locks what will be changed.
    fn begin(ledger: &'l mut Ledger, claim: &'c Claim<'a>) -> Result<Self, Trouble> {
        let lock_rows = ledger.database.dialect().lock_rows;
        let mut reads: Vec<Statement<'_>> = kept(claim).into_iter().collect();
        let pools = reads.len();
        reads.extend(shelf::reads(claim, lock_rows));
        let mut answers = ledger.begin(&reads)?;
        let mut of_pools = answers.split_off(pools).into_iter();
        let kept = answers.pop().unwrap_or_default().rows;
        let kept = kept.into_iter().flatten().flatten().filter_map(|ip| ip.parse().ok()).collect();
        let mut shelf = |pool| Shelf::new(pool, of_pools.by_ref().take(2));
        let mut of_group =
            |group: &Group<'a>| group.pools.iter().copied().map(&mut shelf).collect();
        let shelves = claim.groups.iter().map(&mut of_group).collect();
        Ok(Self { ledger, claim, kept, wanted: claim.wanted.clone(), shelves })
    }

    fn serve(&mut self) -> Result<Vec<Given<'a>>, Trouble> {
        let claim = self.claim;
        let mut given = Vec::new();
        for (index, group) in claim.groups.iter().enumerate() {
            let mut shelves = std::mem::take(&mut self.shelves[index]);
            given.push(self.one_of(group, &mut shelves)?);
        }
        if self.wanted.is_empty() {
            return Ok(given);
        }
        let left: Vec<String> = self.wanted.iter().map(ToString::to_string).collect();
        let text = format!("failed to allocate all requested IPs: {}", left.join(" "));
        Err(Trouble::new(Kind::Unavailable, text))
    }

    fn one_of(
        &mut self,
        group: &Group<'a>,
        shelves: &mut [Shelf<'a>],
    ) -> Result<Given<'a>, Trouble> {
        if let Some(given) = self.asked_for(group)? {
            return Ok(given);
        }
        if let Some(given) = self.reserved(group)? {
            return Ok(given);
        }
        for ip in self.kept.clone() {
            if let Some(pool) = self.pool_of(group, ip)
                && self.take(group, pool, ip)?
            {
                return Ok(Given { ip, pool });
            }
        }
        for shelf in shelves.iter_mut() {
            if let Some(ip) = shelf.take(self, group)? {
                return Ok(Given { ip, pool: shelf.pool });
            }
        }
        // Names that have not come back in time make room.
        for shelf in shelves {
            if let Some(ip) = shelf.take_expired(self, group)? {
                return Ok(Given { ip, pool: shelf.pool });
            }
        }
        let ranges: Vec<String> = group.pools.iter().map(ToString::to_string).collect();
        let text = format!("no IP addresses available in pool: {}", ranges.join(","));
        Err(Trouble::new(Kind::Exhausted, text))
    }

    /// The pool of the group that may give the address to this claim.
    fn pool_of(&self, group: &Group<'a>, ip: IpAddr) -> Option<&'a Pool> {
        let name = self.claim.name.as_deref();
        group.pools.iter().copied().find(|pool| pool.allows(ip, name))
    }

    /// The first address that is wanted and in the range of one of the group's pools.
    fn asked_for(&mut self, group: &Group<'a>) -> Result<Option<Given<'a>>, Trouble> {
        let in_range = |ip: &IpAddr| group.pools.iter().copied().find(|pool| pool.contains(*ip));
        let Some(place) = self.wanted.iter().position(|ip| in_range(ip).is_some()) else {
            return Ok(None);
        };
        let ip = self.wanted.remove(place);
        let pool = self.pool_of(group, ip);
        if let Some(pool) = pool
            && self.take(group, pool, ip)?
        {
            return Ok(Some(Given { ip, pool }));
        }
        let range = in_range(&ip).map(ToString::to_string).unwrap_or_default();
        let reason = match pool {
            Some(_) => format!("requested IP address {ip} is not available in pool {range}"),
            None if group.pools.iter().any(|pool| pool.gateway == ip) => {
                format!("requested ip {ip} is subnet's gateway")
            }
            None => format!("requested ip {ip} is excluded from {range}"),
        };
        Err(Trouble::new(Kind::Unavailable, reason))
    }

    /// The address that the configuration reserves for the claim's name.
    fn reserved(&mut self, group: &Group<'a>) -> Result<Option<Given<'a>>, Trouble> {
        let Some(name) = &self.claim.name else { return Ok(None) };
        let reserved = |pool: &&'a Pool| pool.reserved.get(name).map(|ip| (*pool, *ip));
        let Some((pool, ip)) = group.pools.iter().find_map(reserved) else { return Ok(None) };
        if self.take(group, pool, ip)? {
            return Ok(Some(Given { ip, pool }));
        }
        let text = format!("{ip}, which is reserved for {name}, is in use");
        Err(Trouble::new(Kind::Unavailable, text))
    }

    /// Writes the lease; `false` if somebody has the address, or it is kept for somebody else.
    fn take(&mut self, group: &Group<'_>, pool: &Pool, ip: IpAddr) -> Result<bool, Trouble> {
        let taking = self.taking(group, pool, ip);
        let answers = self.ledger.database.run(&[taking])?;
        Ok(was_taken(&answers))
    }

    /// The statement that writes a lease of an address that nobody has had, as far as we know.
    fn taking_new(&self, group: &Group<'_>, pool: &Pool, ip: IpAddr) -> Statement<'static> {
        let sql = format!("{INSERT} DO NOTHING");
        let mut values = self.values(group, pool, ip);
        values.pop();
        Statement::new(sql, values)
    }

    /// The statement that writes a lease, if the address can be had.
    fn taking(&self, group: &Group<'_>, pool: &Pool, ip: IpAddr) -> Statement<'static> {
        Statement::new(format!("{INSERT} {OR_UPDATE}"), self.values(group, pool, ip))
    }

    fn values(&self, group: &Group<'_>, pool: &Pool, ip: IpAddr) -> Vec<Value> {
        let claim = self.claim;
        let holder = &claim.holder;
        vec![
            some(ip),
            some(&claim.space),
            some(&pool.name),
            some(shelf::block_of(pool, ip)),
            some(&group.name),
            some(&holder.network),
            some(&holder.container),
            some(&holder.interface),
            claim.pod.clone(),
            claim.namespace.clone(),
            some(&claim.host),
            some(claim.now),
            claim.name.clone().filter(|_| claim.is_kept),
            claim.name.clone(),
        ]
    }
}

const INSERT: &str = "\
    INSERT INTO ropewalk_lease AS lease (address, space, pool, block, slot, network, container, \
    interface, pod, namespace, host, since, kept_for) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
    ON CONFLICT (address, space)";

/// An address that is free becomes the claim's, unless it is kept for another name. It stays in the
/// run that knows it.
const OR_UPDATE: &str = "\
    DO UPDATE SET slot = excluded.slot, network = excluded.network, \
    container = excluded.container, interface = excluded.interface, pod = excluded.pod, \
    namespace = excluded.namespace, host = excluded.host, since = excluded.since, free_at = NULL, \
    kept_for = CASE WHEN lease.is_reserved = 1 THEN lease.kept_for ELSE excluded.kept_for END \
    WHERE lease.free_at IS NOT NULL AND (lease.kept_for IS NULL OR lease.kept_for = $14 \
    OR lease.free_at <= excluded.since)";

/// Whether the first of several answers is that of a lease that was written.
fn was_taken(answers: &[Answer]) -> bool {
    answers.first().is_some_and(|answer| answer.changed == 1)
}

/// What is kept or reserved for the claim's name.
fn kept(claim: &Claim<'_>) -> Option<Statement<'static>> {
    let name = claim.name.clone()?;
    let sql = "SELECT address FROM ropewalk_lease \
               WHERE space = $1 AND kept_for = $2 AND free_at IS NOT NULL \
               ORDER BY is_reserved DESC, free_at DESC";
    Some(Statement::new(sql, vec![some(&claim.space), Some(name)]))
}

#[cfg(test)]
mod tests;
