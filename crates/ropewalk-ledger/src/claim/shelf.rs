//! A pool within a claim: what the tables say of it, and taking the next address of it.

use std::net::IpAddr;

use super::{
    Claim, Claiming, Group,
    run::{FEW, MANY, RUNS, Run, insert, outdate, place},
    was_taken,
};
use crate::{
    database::{Answer, Row, Statement, some},
    pool::{Blocks, Pool, behind},
    trouble::Trouble,
};

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

/// The name of the block that an address lies in.
pub(super) fn block_of(pool: &Pool, ip: IpAddr) -> String {
    pool.block_around(ip).map(|(first, _)| first.to_string()).unwrap_or_default()
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
            self.runs = self.whole(claiming)?.into_iter().collect();
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

    /// The pool as one run, which is locked, as the pool is now. It is written down if nobody has
    /// used it yet.
    fn whole(&mut self, claiming: &mut Claiming<'_, '_, 'a>) -> Result<Option<Run>, Trouble> {
        let (claim, pool) = (claiming.claim, self.pool);
        let database = &mut claiming.ledger.database;
        let create = insert(claim, pool, &Run::whole(pool), "");
        let lock = format!("{RUNS} block = ''{}", database.dialect().lock_rows);
        let answers = database.run(&[create, Statement::new(lock, place(claim, pool))])?;
        let whole = answers.iter().flat_map(|answer| &answer.rows).find_map(Run::read);
        match whole {
            Some(whole) if whole.shape != pool.shape() => self.begin_anew(claiming).map(Some),
            whole => Ok(whole),
        }
    }

    /// Begins runs anew whose pool has another range now, other exclusions or other blocks, and
    /// those of which another pool has adopted addresses. Who has an address keeps it.
    fn adapt(&mut self, claiming: &mut Claiming<'_, '_, 'a>) -> Result<(), Trouble> {
        let shape = self.pool.shape();
        if self.runs.iter().all(|run| run.shape == shape) {
            return Ok(());
        }
        self.oldest = None;
        if self.pool.blocks.is_none() {
            self.runs = vec![self.begin_anew(claiming)?];
            return Ok(());
        }
        self.whole(claiming)?;
        let mut runs = self.runs.iter_mut().filter(|run| run.shape != shape);
        runs.try_for_each(|run| run.begin_anew(claiming, self.pool))
    }

    /// Begins the whole pool anew. If its blocks are not those that it would have now, nobody has
    /// one any more.
    fn begin_anew(&mut self, claiming: &mut Claiming<'_, '_, 'a>) -> Result<Run, Trouble> {
        let pool = self.pool;
        let database = &mut claiming.ledger.database;
        let blocks = format!("{RUNS} block <> ''");
        let blocks = database.run(&[Statement::new(blocks, place(claiming.claim, pool))])?;
        let fits = |row: &Row| {
            let run = Run::read(row);
            run.is_some_and(|run| pool.block_around(run.first) == Some((run.first, run.last)))
        };
        if !blocks.iter().flat_map(|answer| &answer.rows).all(fits) {
            let drop = "DELETE FROM ropewalk_pool WHERE space = $1 AND pool = $2 AND block <> ''";
            let forget = "DELETE FROM ropewalk_lease WHERE space = $1 AND pool = $2 AND \
                          block <> '' AND free_at IS NOT NULL AND kept_for IS NULL";
            let values = place(claiming.claim, pool);
            database.run(&[drop, forget].map(|sql| Statement::new(sql, values.clone())))?;
            self.runs.clear();
        }
        let mut whole = Run::whole(pool);
        whole.begin_anew(claiming, pool)?;
        Ok(whole)
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
                run.next = Some(ip);
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
        claiming.ledger.database.run(&[forget, outdate(values)]).map(drop)
    }

    fn of_more_blocks(
        &mut self,
        claiming: &mut Claiming<'_, '_, 'a>,
        group: &Group<'a>,
        blocks: Blocks,
    ) -> Result<Option<IpAddr>, Trouble> {
        while self.runs.len() < blocks.most as usize && self.add_block(claiming)? {
            let taken = self.fresh(claiming, group)?;
            let taken = taken.map_or_else(|| self.resting(claiming, group), |ip| Ok(Some(ip)))?;
            if taken.is_some() {
                return Ok(taken);
            }
        }
        if blocks.borrow { self.borrow(claiming, group) } else { Ok(None) }
    }

    /// Gets a block for the host that nobody has: one that was given back, else a new one.
    fn add_block(&mut self, claiming: &mut Claiming<'_, '_, 'a>) -> Result<bool, Trouble> {
        let (claim, pool) = (claiming.claim, self.pool);
        let Some(mut whole) = self.whole(claiming)? else { return Ok(false) };
        let mut values = place(claim, pool);
        values.push(some(&claim.host));
        let sql = "UPDATE ropewalk_pool SET host = $3 WHERE space = $1 AND pool = $2 AND \
                   block = (SELECT min(block) FROM ropewalk_pool WHERE space = $1 AND pool = $2 \
                   AND host IS NULL) RETURNING block, first, last, next, shape";
        let given_up = claiming.ledger.database.one(sql, values)?;
        if let Some(run) = given_up.rows.first().and_then(Run::read) {
            self.runs.push(run);
            self.adapt(claiming)?;
            return Ok(true);
        }
        while let Some((first, last)) = whole.next.and_then(|next| pool.block(next)) {
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
        loop {
            if let Some(ip) = self.take_first(claiming, group, &of_all)? {
                return Ok(Some(ip));
            }
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

/// The address and the moment of the first row.
fn read(rows: &[Row]) -> Option<(IpAddr, u64)> {
    let row = rows.first()?;
    let [address, free_at] = &row[..] else { return None };
    Some((address.as_deref()?.parse().ok()?, free_at.as_deref()?.parse().ok()?))
}
