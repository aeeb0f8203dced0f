//! A table of the old iptables: entries one behind the other. Chains are not named where packets
//! enter them: their places are told beside, with where their policy is. Others begin with an entry
//! that has their name.

use std::collections::BTreeMap;

use ropewalk_topology::model::{Base, Chain, FilterFamily, Rule, Table};

use super::entry::{Entry, Target};

/// How many places there are where packets may enter.
pub(super) const HOOKS: usize = 5;

const NAMES: [&str; HOOKS] = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];

/// What the entry is called that ends a table.
const END: &str = "ERROR";

/// A table as the kernel keeps it.
#[derive(Debug)]
pub(super) struct Block {
    /// Which of the places it has, a bit for each.
    pub(super) hooks: u32,
    /// Where the entries of each begin.
    pub(super) starts: [u32; HOOKS],
    /// Where the policy of each is.
    pub(super) policies: [u32; HOOKS],
    /// The entries.
    pub(super) bytes: Vec<u8>,
}

impl Block {
    /// The table; nothing if this is none.
    pub(super) fn table(&self, family: FilterFamily, name: &str) -> Option<Table> {
        let mut entries = Vec::new();
        let mut at = 0;
        while at < self.bytes.len() {
            let entry = Entry::read(family, &self.bytes, at)?;
            at = entry.end;
            entries.push(entry);
        }
        let chains = chain_names(&entries);
        let mut table = Table { family, name: name.into(), ..Table::default() };
        for entry in &entries {
            let policy = self.hook_at(&self.policies, entry.start);
            if let Some(hook) = self.hook_at(&self.starts, entry.start) {
                table.chains.push(base_chain(name, hook));
            } else if let Target::Error(chain) = &entry.target {
                if chain != END || entry.end < self.bytes.len() {
                    table.chains.push(chain_of(chain, None));
                }
                continue;
            }
            let chain = table.chains.last_mut()?;
            if let (Some(_), Some(base)) = (policy, &mut chain.base) {
                base.accepts = entry.accepts();
                base.counted = Some(entry.counted);
                continue;
            }
            let handle = chain.rules.len() as u64 + 1;
            let expressions = entry.expressions(&chains);
            chain.rules.push(Rule { handle, expressions, comment: None });
        }
        // Chains that somebody made end with an entry that returns, which iptables does not show.
        for chain in table.chains.iter_mut().filter(|chain| chain.base.is_none()) {
            chain.rules.pop();
        }
        Some(table)
    }

    /// The place whose chain begins or ends here.
    fn hook_at(&self, places: &[u32; HOOKS], start: usize) -> Option<usize> {
        let is_here = |hook: &usize| {
            self.hooks >> hook & 1 != 0 && usize::try_from(places[*hook]) == Ok(start)
        };
        (0..HOOKS).find(is_here)
    }
}

/// The names of chains that somebody made, by where their rules begin.
fn chain_names(entries: &[Entry<'_>]) -> BTreeMap<usize, String> {
    let made = entries.iter().filter_map(|entry| match &entry.target {
        Target::Error(name) => Some((entry.end, name.clone())),
        Target::Verdict(_) | Target::Extension { .. } => None,
    });
    made.collect()
}

fn chain_of(name: &str, base: Option<Base>) -> Chain {
    Chain { name: name.into(), handle: 0, base, rules: Vec::new() }
}

fn base_chain(table: &str, hook: usize) -> Chain {
    let is_nat = table == "nat";
    let priority = match (table, NAMES[hook]) {
        ("raw", _) => -300,
        ("mangle", _) => -150,
        ("nat", "PREROUTING" | "OUTPUT") => -100,
        ("nat", _) => 100,
        ("security", _) => 50,
        _ => 0,
    };
    let kind = match (table, NAMES[hook]) {
        _ if is_nat => "nat",
        ("mangle", "OUTPUT") => "route",
        _ => "filter",
    };
    let base = Base {
        kind: kind.into(),
        hook: u32::try_from(hook).unwrap_or_default(),
        priority,
        accepts: true,
        devices: Vec::new(),
        counted: None,
    };
    chain_of(NAMES[hook], Some(base))
}
