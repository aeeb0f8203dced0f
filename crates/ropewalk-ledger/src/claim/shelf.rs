//! A pool within a claim: what the tables say of it, and taking the next address of it.

use std::{collections::HashSet, net::IpAddr};

use super::{Claim, Claiming, Group, was_taken};
use crate::{
    address::{address, number},
    database::{Answer, Row, Statement, some},
    pool::{Blocks, Pool, behind},
    trouble::Trouble,
};

use ropewalk_addr::Family;

/// How many addresses are asked for at once where a long run is taken: first and at most.
const FEW: usize = 64;
const MANY: usize = 4096;

const RUNS: &str = "SELECT block, first, last, next, shape FROM ropewalk_pool WHERE space = $1 AND \
                    pool = $2 AND";
const OLDEST: &str = "SELECT address, free_at FROM ropewalk_lease WHERE space = $1 AND pool = $2 \
                      AND free_at IS NOT NULL AND kept_for IS NULL AND";
const FIRST: &str = "ORDER BY free_at LIMIT 1";

/// A pool, and what of it the claim's host may give.
pub(super) struct Shelf<'a> {
    pub(super) pool: &'a Pool,
    runs: Vec<Run>,
    /// The address that has been free for longest, and since when others may have it.
    oldest: Option<(IpAddr, u64)>,
}

/// A run of addresses: the whole pool, or a block.
#[derive(Clone, Debug)]
struct Run {
    block: String,
    first: IpAddr,
    last: IpAddr,
    next: Option<IpAddr>,
    shape: String,
}

/// Two statements for each pool: its runs, which are locked, and the oldest free address of them.
pub(super) fn reads(claim: &Claim<'_>, lock_rows: &str) -> Vec<Statement<'static>> {
    let pools = claim.groups.iter().flat_map(|group| &group.pools);
    pools.flat_map(|pool| [runs(claim, pool, lock_rows), oldest(claim, pool)]).collect()
}

fn runs(claim: &Claim<'_>, pool: &Pool, lock_rows: &str) -> Statement<'static> {
    let mut values = place(claim, pool);
    if pool.blocks.is_none() {
        return Statement::new(format!("{RUNS} block = ''{lock_rows}"), values);
    }
    values.push(some(&claim.host));
    Statement::new(format!("{RUNS} host = $3 ORDER BY block{lock_rows}"), values)
}

fn oldest(claim: &Claim<'_>, pool: &Pool) -> Statement<'static> {
    let mut values = place(claim, pool);
    if pool.blocks.is_none() {
        return Statement::new(format!("{OLDEST} block = '' {FIRST}"), values);
    }
    values.push(some(&claim.host));
    let own = "block IN (SELECT block FROM ropewalk_pool WHERE space = $1 AND pool = $2 AND \
               host = $3)";
    Statement::new(format!("{OLDEST} {own} {FIRST}"), values)
}

fn place(claim: &Claim<'_>, pool: &Pool) -> Vec<Option<String>> {
    vec![some(&claim.space), some(&pool.name)]
}

/// The name of the block that an address lies in.
pub(super) fn block_of(pool: &Pool, ip: IpAddr) -> String {
    let Some(blocks) = pool.blocks else { return String::new() };
    let family = Family::of(ip);
    let size = 1_u128.checked_shl(u32::from(family.bits() - blocks.prefix)).unwrap_or_default();
    address(number(ip) & !size.wrapping_sub(1), family).to_string()
}

impl<'a> Shelf<'a> {
    pub(super) fn new(pool: &'a Pool, mut answers: impl Iterator<Item = Answer>) -> Self {
        let runs = answers.next().unwrap_or_default().rows;
        let oldest = answers.next().unwrap_or_default().rows;
        Self { pool, runs: runs.iter().filter_map(Run::read).collect(), oldest: read(&oldest) }
    }

    /// Takes an address that others had and that has rested, else one that nobody had, else one
    /// that still rests, else one of another host.
    pub(super) fn take(
        &mut self,
        claiming: &mut Claiming<'_, '_, 'a>,
        group: &Group<'a>,
    ) -> Result<Option<IpAddr>, Trouble> {
        if self.runs.is_empty() && self.pool.blocks.is_none() {
            self.create(claiming)?;
        }
        self.adapt(claiming)?;
        let now = claiming.claim.now;
        if let Some((ip, free_at)) = self.oldest
            && free_at <= now
            && self.pool.allows(ip, None)
            && claiming.take(group, self.pool, ip)?
        {
            return Ok(Some(ip));
        }
        self.fresh_or_resting(claiming, group)
    }

    fn fresh_or_resting(
        &mut self,
        claiming: &mut Claiming<'_, '_, 'a>,
        group: &Group<'a>,
    ) -> Result<Option<IpAddr>, Trouble> {
        let taken = self.fresh(claiming, group)?;
        let taken = taken.map_or_else(|| self.resting(claiming, group), |ip| Ok(Some(ip)))?;
        match (taken, self.pool.blocks) {
            (None, Some(blocks)) => self.of_more_blocks(claiming, group, blocks),
            (taken, _) => Ok(taken),
        }
    }

    /// Takes an address that was kept for a name for long enough.
    pub(super) fn take_expired(
        &mut self,
        claiming: &mut Claiming<'_, '_, 'a>,
        group: &Group<'a>,
    ) -> Result<Option<IpAddr>, Trouble> {
        let claim = claiming.claim;
        let mut values = place(claim, self.pool);
        values.push(some(claim.now));
        let sql = "UPDATE ropewalk_lease SET kept_for = NULL WHERE space = $1 AND pool = $2 AND \
                   kept_for IS NOT NULL AND is_reserved = 0 AND free_at <= $3";
        if claiming.ledger.database.one(sql, values)?.changed == 0 {
            return Ok(None);
        }
        self.fresh_or_resting(claiming, group)
    }

    /// Writes down a pool that nobody has used yet.
    fn create(&mut self, claiming: &mut Claiming<'_, '_, 'a>) -> Result<(), Trouble> {
        let create = insert(claiming.claim, self.pool, &Run::whole(self.pool), "");
        let lock_rows = claiming.ledger.database.dialect().lock_rows;
        let again = runs(claiming.claim, self.pool, lock_rows);
        let answers = claiming.ledger.database.run(&[create, again])?;
        self.runs = answers.iter().flat_map(|answer| &answer.rows).filter_map(Run::read).collect();
        Ok(())
    }

    /// Begins runs anew whose pool has another range now, or other exclusions. Who has an address
    /// keeps it.
    fn adapt(&mut self, claiming: &mut Claiming<'_, '_, 'a>) -> Result<(), Trouble> {
        let shape = self.pool.shape();
        for run in self.runs.iter_mut().filter(|run| run.shape != shape) {
            let mut values = place(claiming.claim, self.pool);
            values.push(some(&run.block));
            let forget = "DELETE FROM ropewalk_lease WHERE space = $1 AND pool = $2 AND \
                          block = $3 AND free_at IS NOT NULL AND kept_for IS NULL";
            let forget = Statement::new(forget, values.clone());
            if run.block.is_empty() {
                (run.first, run.last) = (self.pool.start, self.pool.end);
            }
            run.next = self.pool.fresh(run.first, run.last);
            run.shape.clone_from(&shape);
            values.extend([some(run.first), some(run.last), run.next.map(|ip| ip.to_string())]);
            values.push(some(&shape));
            let update = "UPDATE ropewalk_pool SET first = $4, last = $5, next = $6, shape = $7 \
                          WHERE space = $1 AND pool = $2 AND block = $3";
            claiming.ledger.database.run(&[forget, Statement::new(update, values)])?;
            self.oldest = None;
        }
        Ok(())
    }

    /// Takes the next address that nobody has had.
    fn fresh(
        &mut self,
        claiming: &mut Claiming<'_, '_, 'a>,
        group: &Group<'a>,
    ) -> Result<Option<IpAddr>, Trouble> {
        for run in &mut self.runs {
            let mut batch = FEW;
            while let Some(next) = run.next {
                let Some(ip) = self.pool.fresh(next, run.last) else {
                    run.next = None;
                    claiming.ledger.database.run(&[run.moved(claiming.claim, self.pool)])?;
                    break;
                };
                run.next = behind(ip, run.last);
                let statements = [
                    claiming.taking_new(group, self.pool, ip),
                    run.moved(claiming.claim, self.pool),
                ];
                if was_taken(&claiming.ledger.database.run(&statements)?) {
                    return Ok(Some(ip));
                }
                run.pass(claiming, self.pool, batch)?;
                batch = (batch * 4).min(MANY);
            }
        }
        Ok(None)
    }

    /// Takes the address that has been free for longest, rested or not.
    fn resting(
        &mut self,
        claiming: &mut Claiming<'_, '_, 'a>,
        group: &Group<'a>,
    ) -> Result<Option<IpAddr>, Trouble> {
        self.take_first(claiming, group, &oldest(claiming.claim, self.pool))
    }

    /// Takes the first address that a statement answers and that this one may have.
    fn take_first(
        &self,
        claiming: &mut Claiming<'_, '_, 'a>,
        group: &Group<'a>,
        statement: &Statement<'_>,
    ) -> Result<Option<IpAddr>, Trouble> {
        loop {
            let answers = claiming.ledger.database.run(std::slice::from_ref(statement))?;
            let Some((ip, _)) = answers.first().and_then(|answer| read(&answer.rows)) else {
                return Ok(None);
            };
            if !self.pool.allows(ip, None) {
                self.forget(claiming, ip)?;
            } else if claiming.take(group, self.pool, ip)? {
                return Ok(Some(ip));
            }
        }
    }

    /// Drops what is known of an address that is free, and that the pool does not have now. Its run
    /// begins anew, so that the address comes again if the pool has it once more.
    fn forget(&self, claiming: &mut Claiming<'_, '_, 'a>, ip: IpAddr) -> Result<(), Trouble> {
        let claim = claiming.claim;
        let forget = "DELETE FROM ropewalk_lease WHERE address = $1 AND space = $2 AND \
                      free_at IS NOT NULL AND kept_for IS NULL";
        let forget = Statement::new(forget, vec![some(ip), some(&claim.space)]);
        let mut values = place(claim, self.pool);
        values.push(some(block_of(self.pool, ip)));
        let anew = "UPDATE ropewalk_pool SET shape = '' WHERE space = $1 AND pool = $2 AND \
                    block = $3";
        claiming.ledger.database.run(&[forget, Statement::new(anew, values)]).map(drop)
    }

    fn of_more_blocks(
        &mut self,
        claiming: &mut Claiming<'_, '_, 'a>,
        group: &Group<'a>,
        blocks: Blocks,
    ) -> Result<Option<IpAddr>, Trouble> {
        while self.runs.len() < blocks.most as usize && self.add_block(claiming, blocks)? {
            let taken = self.fresh(claiming, group)?;
            let taken = taken.map_or_else(|| self.resting(claiming, group), |ip| Ok(Some(ip)))?;
            if taken.is_some() {
                return Ok(taken);
            }
        }
        if blocks.borrow { self.borrow(claiming, group) } else { Ok(None) }
    }

    /// Gets a block for the host that nobody has: one that was given back, else a new one.
    fn add_block(
        &mut self,
        claiming: &mut Claiming<'_, '_, 'a>,
        blocks: Blocks,
    ) -> Result<bool, Trouble> {
        let (claim, pool) = (claiming.claim, self.pool);
        let database = &mut claiming.ledger.database;
        let lock_rows = database.dialect().lock_rows;
        let create = insert(claim, pool, &Run::whole(pool), "");
        let lock = Statement::new(format!("{RUNS} block = ''{lock_rows}"), place(claim, pool));
        let mut values = place(claim, pool);
        values.push(some(&claim.host));
        let sql = "UPDATE ropewalk_pool SET host = $3 WHERE space = $1 AND pool = $2 AND \
                   block = (SELECT min(block) FROM ropewalk_pool WHERE space = $1 AND pool = $2 \
                   AND host IS NULL) RETURNING block, first, last, next, shape";
        let answers = database.run(&[create, lock, Statement::new(sql, values)])?;
        if let Some(run) = answers[2].rows.first().and_then(Run::read) {
            self.runs.push(run);
            self.adapt(claiming)?;
            return Ok(true);
        }
        let Some(mut whole) = answers[1].rows.first().and_then(Run::read) else { return Ok(false) };
        if whole.shape != pool.shape() {
            whole = Run::whole(pool);
        }
        while let Some((first, last)) = whole.next.and_then(|next| pool.block(blocks, next)) {
            whole.next = behind(last, pool.end);
            let (next, block) = (pool.fresh(first, last), first.to_string());
            let run = Run { block, first, last, next, shape: pool.shape() };
            let statements = [insert(claim, pool, &run, &claim.host), whole.moved(claim, pool)];
            if was_taken(&claiming.ledger.database.run(&statements)?) {
                self.runs.push(run);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes an address of another host's block: one that was given back, else a new one.
    fn borrow(
        &mut self,
        claiming: &mut Claiming<'_, '_, 'a>,
        group: &Group<'a>,
    ) -> Result<Option<IpAddr>, Trouble> {
        let claim = claiming.claim;
        let lock_rows = claiming.ledger.database.dialect().lock_rows;
        let of_all =
            Statement::new(format!("{OLDEST} block <> '' {FIRST}"), place(claim, self.pool));
        let unused = "block <> '' AND (next IS NOT NULL OR shape <> $3) ORDER BY block LIMIT 1";
        let mut values = place(claim, self.pool);
        values.push(some(self.pool.shape()));
        let unused = Statement::new(format!("{RUNS} {unused}{lock_rows}"), values);
        if let Some(ip) = self.take_first(claiming, group, &of_all)? {
            return Ok(Some(ip));
        }
        loop {
            let answers = claiming.ledger.database.run(std::slice::from_ref(&unused))?;
            let run = answers.first().and_then(|answer| answer.rows.first()).and_then(Run::read);
            let Some(run) = run else { return Ok(None) };
            let mut other = Shelf { pool: self.pool, runs: vec![run], oldest: None };
            other.adapt(claiming)?;
            if let Some(ip) = other.fresh(claiming, group)? {
                return Ok(Some(ip));
            }
        }
    }
}

impl Run {
    /// A pool as one run.
    fn whole(pool: &Pool) -> Self {
        let (first, last) = (pool.start, pool.end);
        let next = pool.fresh(first, last);
        Self { block: String::new(), first, last, next, shape: pool.shape() }
    }

    fn read(row: &Row) -> Option<Self> {
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
    fn moved(&self, claim: &Claim<'_>, pool: &Pool) -> Statement<'static> {
        let mut values = place(claim, pool);
        values.extend([some(&self.block), self.next.map(|next| next.to_string())]);
        let sql =
            "UPDATE ropewalk_pool SET next = $4 WHERE space = $1 AND pool = $2 AND block = $3";
        Statement::new(sql, values)
    }

    /// Goes past addresses that have a row already: those that were asked for by address, and all
    /// that are leased when a run begins anew.
    fn pass(
        &mut self,
        claiming: &mut Claiming<'_, '_, '_>,
        pool: &Pool,
        batch: usize,
    ) -> Result<(), Trouble> {
        let mut candidates = Vec::with_capacity(batch);
        let mut next = self.next;
        while let Some(ip) = next.and_then(|next| pool.fresh(next, self.last)) {
            candidates.push(ip);
            next = behind(ip, self.last);
            if candidates.len() == batch {
                break;
            }
        }
        if candidates.is_empty() {
            self.next = None;
            return Ok(());
        }
        let marks: Vec<String> =
            (2..candidates.len() + 2).map(|index| format!("${index}")).collect();
        let sql = format!(
            "SELECT address FROM ropewalk_lease WHERE space = $1 AND address IN ({})",
            marks.join(", ")
        );
        let mut values = vec![some(&claiming.claim.space)];
        values.extend(candidates.iter().map(some));
        let known = claiming.ledger.database.one(&sql, values)?.rows;
        let known: HashSet<String> = known.into_iter().flatten().flatten().collect();
        let unknown = candidates.into_iter().find(|ip| !known.contains(&ip.to_string()));
        self.next = unknown.or(next);
        Ok(())
    }
}

/// Writes down a run, unless it is there.
fn insert(claim: &Claim<'_>, pool: &Pool, run: &Run, host: &str) -> Statement<'static> {
    let mut values = place(claim, pool);
    values.extend([some(&run.block), some(run.first), some(run.last)]);
    values.extend([run.next.map(|next| next.to_string()), some(host), some(&run.shape)]);
    let sql = "INSERT INTO ropewalk_pool (space, pool, block, first, last, next, host, shape) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
               ON CONFLICT (space, pool, block) DO NOTHING";
    Statement::new(sql, values)
}

/// The address and the moment of the first row.
fn read(rows: &[Row]) -> Option<(IpAddr, u64)> {
    let row = rows.first()?;
    let [address, free_at] = &row[..] else { return None };
    Some((address.as_deref()?.parse().ok()?, free_at.as_deref()?.parse().ok()?))
}
