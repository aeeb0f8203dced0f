//! Looking after the leases of a host: which of them nobody needs any more, and whether there is
//! room for others.

use std::net::IpAddr;

use crate::{
    database::{Row, Statement, some},
    ledger::{Holder, Ledger, Rest},
    trouble::Trouble,
};

/// How many rows are read or changed at once.
const PAGE: usize = 1000;

/// A lease, as far as it decides whether it is still needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Who has it.
    pub holder: Holder,
    /// Since when, in seconds since 1970.
    pub since: u64,
}

impl Ledger {
    /// Gives back the leases of a host on a network that are not needed any more. The answer is how
    /// many these were.
    pub fn collect(
        &mut self,
        network: &str,
        host: &str,
        rest: Rest,
        is_needed: impl Fn(&Standing) -> bool,
    ) -> Result<u64, Trouble> {
        let mut count = 0;
        let mut last = String::new();
        loop {
            let sql = format!(
                "SELECT address, space, container, interface, since FROM ropewalk_lease \
                 WHERE host = $1 AND network = $2 AND free_at IS NULL AND address > $3 \
                 ORDER BY address LIMIT {PAGE}"
            );
            let values = vec![some(host), some(network), some(&last)];
            let rows = self.read(Statement::new(sql, values))?.rows;
            let Some(end) = rows.last().and_then(|row| row.first().cloned().flatten()) else {
                return Ok(count);
            };
            last = end;
            let unneeded = |row: &Row| {
                let [Some(address), Some(space), ..] = &row[..] else { return None };
                let standing = standing(network, row).filter(|one| !is_needed(one))?;
                Some(free((address, space), &standing, rest))
            };
            let changes: Vec<_> = rows.iter().filter_map(unneeded).collect();
            if !changes.is_empty() {
                let answers = self.change(&changes)?;
                count += answers.iter().map(|answer| answer.changed).sum::<u64>();
            }
        }
    }

    /// Gives one address back, if the same holder still has it since then. What it is reserved for
    /// stays. The answer is whether it was given back.
    pub fn give_back(
        &mut self,
        space: &str,
        ip: IpAddr,
        standing: &Standing,
        rest: Rest,
    ) -> Result<bool, Trouble> {
        let answers = self.change(&[free((&ip.to_string(), space), standing, rest)])?;
        Ok(answers.first().is_some_and(|answer| answer.changed > 0))
    }

    /// Who on a host has leases on a network from a moment on, in seconds since 1970.
    pub fn holders_since(
        &mut self,
        network: &str,
        host: &str,
        moment: u64,
    ) -> Result<Vec<Holder>, Trouble> {
        let sql = "SELECT address, space, container, interface, since FROM ropewalk_lease \
                   WHERE host = $1 AND network = $2 AND free_at IS NULL AND since >= $3";
        let values = vec![some(host), some(network), some(moment)];
        let rows = self.read(Statement::new(sql, values))?.rows;
        let found = rows.iter().filter_map(|row| standing(network, row));
        Ok(found.map(|standing| standing.holder).collect())
    }
}

fn standing(network: &str, row: &Row) -> Option<Standing> {
    let [_, _, Some(container), Some(interface), Some(since)] = &row[..] else { return None };
    let holder = Holder {
        network: network.to_owned(),
        container: container.clone(),
        interface: interface.clone(),
    };
    Some(Standing { holder, since: since.parse().ok()? })
}

/// Gives an address of a space back, if the same holder still has it since then.
fn free((address, space): (&str, &str), standing: &Standing, rest: Rest) -> Statement<'static> {
    let sql = format!(
        "UPDATE ropewalk_lease SET free_at = {} WHERE address = $1 AND space = $2 \
         AND network = $3 AND container = $4 AND interface = $5 AND since = $6 AND free_at IS NULL",
        rest.free_at()
    );
    let Standing { holder, since } = standing;
    let values = vec![
        some(address),
        some(space),
        some(&holder.network),
        some(&holder.container),
        some(&holder.interface),
        some(since),
    ];
    Statement::new(sql, values)
}
