//! The old iptables and ip6tables: their tables, one block of bytes each, as nftables would tell
//! them.
//!
//! It must never ask for a table that the namespace does not have: that would make it.

mod block;
mod entry;
mod question;
#[cfg(test)]
mod tests;

use std::fs;

use ropewalk_topology::model::{FilterFamily, Gap, Table};

/// Where the kernel lists the tables that there are, below `/proc/thread-self/net`.
const LISTS: [(FilterFamily, &str); 2] =
    [(FilterFamily::Ip, "ip_tables_names"), (FilterFamily::Ip6, "ip6_tables_names")];

/// The tables of the thread's namespace.
pub(super) fn read(gaps: &mut Vec<Gap>) -> Vec<Table> {
    let mut tables = Vec::new();
    for (family, file) in LISTS {
        let names = fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap_or_default();
        for name in names.lines() {
            let block = question::ask(family, name).map_err(|errno| errno.to_string());
            let table = block.and_then(|block| {
                block.table(family, name).ok_or_else(|| "its structure is not known".into())
            });
            match table {
                Ok(table) => tables.push(table),
                Err(reason) => {
                    let what = format!("the old iptables' table {} {name}", family.name());
                    gaps.push(Gap { what, reason });
                }
            }
        }
    }
    tables
}
