//! A run of addresses that are given one after the other, as the tables have it.
//!
//! Behind its cursor every address has a row, and the row tells that it is this run's: so whatever
//! becomes free is found. Nobody but a run that adopts a row may change whose it is.

use std::{collections::BTreeMap, net::IpAddr};

use super::{Claim, Claiming};
use crate::{
    database::{Row, Statement, Value, some},
    pool::{Pool, behind},
    trouble::Trouble,
};

/// How many addresses are asked for at once where a long run is taken: first and at most.
pub(super) const FEW: usize = 64;
pub(super) const MANY: usize = 4096;

/// Asks for runs of a pool, those that more words tell.
pub(super) const RUNS: &str = "SELECT block, first, last, next, shape FROM ropewalk_pool \
                               WHERE space = $1 AND pool = $2 AND";

/// A run of addresses: the whole pool, or a block.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) block: String,
    pub(super) first: IpAddr,
    pub(super) last: IpAddr,
    pub(super) next: Option<IpAddr>,
    pub(super) shape: String,
}

impl Run {
    /// A pool as one run.
    pub(super) fn whole(pool: &Pool) -> Self {
        let (first, last) = (pool.start, pool.end);
        let next = pool.fresh(first, last);
        Self { block: String::new(), first, last, next, shape: pool.shape() }
    }

    pub(super) fn read(row: &Row) -> Option<Self> {
        let [block, first, last, next, shape] = &row[..] else { return None };
        Some(Self {
            block: block.clone()?,
            first: first.as_deref()?.parse().ok()?,
            last: last.as_deref()?.parse().ok()?,
            next: next.as_deref().and_then(|next| next.parse().ok()),
            shape: shape.clone()?,
        })
    }

    /// Writes down where the run goes on.
    pub(super) fn moved(&self, claim: &Claim<'_>, pool: &Pool) -> Statement<'static> {
        let mut values = place(claim, pool);
        values.extend([some(&self.block), self.next.map(|next| next.to_string())]);
        let sql =
            "UPDATE ropewalk_pool SET next = $4 WHERE space = $1 AND pool = $2 AND block = $3";
        Statement::new(sql, values)
    }

    /// Begins anew, as the pool is now. What is known of addresses that are free is dropped, so that
    /// they come again.
    pub(super) fn begin_anew(
        &mut self,
        claiming: &mut Claiming<'_, '_, '_>,
        pool: &Pool,
    ) -> Result<(), Trouble> {
        if self.block.is_empty() {
            (self.first, self.last) = (pool.start, pool.end);
        }
        self.next = pool.fresh(self.first, self.last);
        self.shape = pool.shape();
        let mut values = place(claiming.claim, pool);
        values.push(some(&self.block));
        let forget = "DELETE FROM ropewalk_lease WHERE space = $1 AND pool = $2 AND block = $3 \
                      AND free_at IS NOT NULL AND kept_for IS NULL";
        let forget = Statement::new(forget, values.clone());
        values.extend([some(self.first), some(self.last), self.next.map(|ip| ip.to_string())]);
        values.push(some(&self.shape));
        let update = "UPDATE ropewalk_pool SET first = $4, last = $5, next = $6, shape = $7 \
                      WHERE space = $1 AND pool = $2 AND block = $3";
        claiming.ledger.database.run(&[forget, Statement::new(update, values)]).map(drop)
    }

    /// Goes past addresses that have a row already: those that were asked for by address, reserved
    /// or imported, and all that are leased when a run begins anew. They are this run's from now on.
    pub(super) fn pass(
        &mut self,
        claiming: &mut Claiming<'_, '_, '_>,
        pool: &Pool,
        batch: usize,
    ) -> Result<(), Trouble> {
        let mut candidates = Vec::with_capacity(batch);
        let mut next = self.next;
        while let Some(ip) = next.and_then(|next| pool.fresh(next, self.last)) {
            candidates.push(ip.to_string());
            next = behind(ip, self.last);
            if candidates.len() == batch {
                break;
            }
        }
        let sql = "SELECT address, pool, block FROM ropewalk_lease WHERE space = $1";
        let space = &claiming.claim.space;
        let known = among(sql, vec![some(space)], candidates.iter().cloned());
        let known = claiming.ledger.database.run(&[known])?;
        let known = known.iter().flat_map(|answer| &answer.rows);
        let known: BTreeMap<&str, (&str, &str)> = known.filter_map(|row| label(row)).collect();
        let unknown = candidates.iter().find(|ip| !known.contains_key(ip.as_str()));
        self.next = unknown.and_then(|ip| ip.parse().ok()).or(next);
        let mut others: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        for (ip, run) in known {
            if run != (&*pool.name, &*self.block) {
                others.entry(run).or_default().push(ip);
            }
        }
        for (other, addresses) in others {
            self.adopt(claiming, pool, other, &addresses)?;
        }
        if self.next.is_none() {
            claiming.ledger.database.run(&[self.moved(claiming.claim, pool)])?;
        }
        Ok(())
    }

    /// Makes addresses this run's that were another's. That one begins anew if they are in its
    /// range: it does not see any more when they become free.
    fn adopt(
        &self,
        claiming: &mut Claiming<'_, '_, '_>,
        pool: &Pool,
        (other_pool, other_block): (&str, &str),
        addresses: &[&str],
    ) -> Result<(), Trouble> {
        let space = &claiming.claim.space;
        let values = vec![some(space), some(&pool.name), some(&self.block)];
        let sql = "UPDATE ropewalk_lease SET pool = $2, block = $3 WHERE space = $1";
        let adopt = among(sql, values, addresses.iter().map(ToString::to_string));
        let values = vec![some(space), some(other_pool), some(other_block)];
        let other = Statement::new(format!("{RUNS} block = $3"), values.clone());
        let answers = claiming.ledger.database.run(&[adopt, other])?;
        let other = answers.iter().flat_map(|answer| &answer.rows).find_map(Run::read);
        let mut adopted = addresses.iter().filter_map(|ip| ip.parse::<IpAddr>().ok());
        match other {
            Some(other) if adopted.any(|ip| (other.first..=other.last).contains(&ip)) => {
                claiming.ledger.database.run(&[outdate(values)]).map(drop)
            }
            _ => Ok(()),
        }
    }
}

/// The run of these values, space, pool and block, is to begin anew.
pub(super) fn outdate(values: Vec<Value>) -> Statement<'static> {
    let sql = "UPDATE ropewalk_pool SET shape = '' WHERE space = $1 AND pool = $2 AND block = $3";
    Statement::new(sql, values)
}

/// A statement about these addresses alone.
fn among(
    sql: &str,
    mut values: Vec<Value>,
    addresses: impl Iterator<Item = String>,
) -> Statement<'static> {
    let before = values.len();
    values.extend(addresses.map(Some));
    let marks: Vec<String> = (before + 1..=values.len()).map(|at| format!("${at}")).collect();
    Statement::new(format!("{sql} AND address IN ({})", marks.join(", ")), values)
}

/// An address, and the pool and block that it is of.
fn label(row: &Row) -> Option<(&str, (&str, &str))> {
    let [address, pool, block] = &row[..] else { return None };
    Some((address.as_deref()?, (pool.as_deref()?, block.as_deref()?)))
}

/// Writes down a run, unless it is there.
pub(super) fn insert(claim: &Claim<'_>, pool: &Pool, run: &Run, host: &str) -> Statement<'static> {
    let mut values = place(claim, pool);
    values.extend([some(&run.block), some(run.first), some(run.last)]);
    values.extend([run.next.map(|next| next.to_string()), some(host), some(&run.shape)]);
    let sql = "INSERT INTO ropewalk_pool (space, pool, block, first, last, next, host, shape) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
               ON CONFLICT (space, pool, block) DO NOTHING";
    Statement::new(sql, values)
}

/// The values of the pool that a claim asks.
pub(super) fn place(claim: &Claim<'_>, pool: &Pool) -> Vec<Option<String>> {
    vec![some(&claim.space), some(&pool.name)]
}
