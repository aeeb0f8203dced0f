//! Chains and rules made with the `iptables` programs. The programs are run only where there is
//! something to find or to do: a look at nftables and at the list of legacy tables tells.

use std::{env, ffi::OsString, io, path::Path, process::Command};

use ropewalk_addr::Family;
use ropewalk_netstate::{
    IptablesNames, KernelError, Owned, Place, Resource, Tag,
    resource::{
        IptablesChain, IptablesRule, NftChain,
        iptables::program,
        nft::{NftFamily, TableRef},
    },
};

use rustix::io::Errno;

use super::{Linux, packet_filter, sysctl};
use crate::{
    error::{error, error_about, io_error},
    translate::iptables,
};

/// Which of the kernel's two packet filters holds a chain. Both may be in use at once, by
/// programs that were installed at different times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variant {
    Nft,
    Legacy,
}

/// Finds a chain or a rule.
pub(super) fn find(
    linux: &mut Linux,
    place: Place,
    wanted: &Resource,
) -> Result<Option<Resource>, KernelError> {
    let found = match wanted {
        Resource::IptablesChain(chain) => !linux.variants_of_chain(place, chain)?.is_empty(),
        Resource::IptablesRule(rule) => linux.has_rule(place, rule)?,
        _ => false,
    };
    Ok(found.then(|| wanted.clone()))
}

/// Creates a chain; one that exists is fine.
pub(super) fn create_chain(
    linux: &mut Linux,
    place: Place,
    chain: &IptablesChain,
) -> Result<(), KernelError> {
    let created = linux.run(place, program(chain.family), &iptables::create_chain(chain));
    match created {
        Err(Failure::Status(error)) => {
            let exists = !linux.variants_of_chain(place, chain)?.is_empty();
            if exists { Ok(()) } else { Err(error) }
        }
        other => Ok(other.map(drop)?),
    }
}

/// Deletes the rules that lead to a chain, its rules, and the chain; absent is fine.
pub(super) fn delete_chain(
    linux: &mut Linux,
    place: Place,
    chain: &IptablesChain,
) -> Result<(), KernelError> {
    for variant in linux.variants_of_chain(place, chain)? {
        let program = program_for(chain.family, variant);
        for from in &chain.referenced_from {
            let printed = match linux.run(place, &program, &iptables::list(&chain.table, from)) {
                // A chain that does not exist leads nowhere.
                Err(Failure::Status(_)) => continue,
                printed => printed?,
            };
            for call in iptables::delete_references(&chain.table, &printed, &chain.name) {
                linux.run(place, &program, &call)?;
            }
        }
        for call in iptables::delete_chain(chain) {
            linux.run(place, &program, &call)?;
        }
    }
    Ok(())
}

/// The chains of a table whose names tell their owners.
pub(super) fn owned_by_name(
    linux: &mut Linux,
    place: Place,
    names: &IptablesNames,
) -> Result<Vec<Owned>, KernelError> {
    let mut owned = Vec::new();
    for from in &names.referenced_from {
        for variant in linux.variants(place, names.family, &names.table, from)? {
            let program = program_for(names.family, variant);
            let printed = match linux.run(place, &program, &iptables::list_all(&names.table)) {
                Err(Failure::Status(_)) => continue,
                printed => printed?,
            };
            owned.extend(iptables::user_chains(&printed).filter_map(|name| {
                let tag = Tag::of_chain_name(name, &names.prefix)?;
                let chain = IptablesChain {
                    family: names.family,
                    table: names.table.clone(),
                    name: name.into(),
                    referenced_from: names.referenced_from.clone(),
                };
                Some(Owned { tag, resource: chain.into() })
            }));
        }
    }
    Ok(owned)
}

/// The chains to which commented rules of a chain jump, with the owners that the comments name.
pub(super) fn owned(
    linux: &mut Linux,
    place: Place,
    from: &IptablesChain,
) -> Result<Vec<Owned>, KernelError> {
    let mut owned = Vec::new();
    for variant in linux.variants_of_chain(place, from)? {
        let program = program_for(from.family, variant);
        let call = iptables::list(&from.table, &from.name);
        let printed = match linux.run(place, &program, &call) {
            Err(Failure::Status(_)) => continue,
            printed => printed?,
        };
        owned.extend(iptables::commented_jumps(&printed).into_iter().map(|(tag, name)| {
            let referenced_from = vec![from.name.clone()];
            let chain = IptablesChain { name, referenced_from, ..from.clone() };
            Owned { tag, resource: chain.into() }
        }));
    }
    Ok(owned)
}

/// Adds a rule.
pub(super) fn create_rule(
    linux: &mut Linux,
    place: Place,
    rule: &IptablesRule,
) -> Result<(), KernelError> {
    Ok(linux.run(place, program(rule.family), &iptables::add(rule)).map(drop)?)
}

/// Deletes a rule; absent is fine.
pub(super) fn delete_rule(
    linux: &mut Linux,
    place: Place,
    rule: &IptablesRule,
) -> Result<(), KernelError> {
    for variant in linux.variants(place, rule.family, &rule.table, &rule.chain)? {
        let program = program_for(rule.family, variant);
        let Err(failure) = linux.run(place, &program, &iptables::delete(rule)) else { continue };
        // The programs do not say whether it was absence that made them fail.
        if linux.succeeds(place, &program, &iptables::check(rule))? {
            return Err(failure.into());
        }
    }
    Ok(())
}

/// Why a program did not do its work.
enum Failure {
    /// It could not be run.
    NotRun(KernelError),
    /// It said no.
    Status(KernelError),
}

impl From<Failure> for KernelError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotRun(error) | Failure::Status(error) => error,
        }
    }
}

impl Linux {
    /// Whether the program for a family is installed.
    pub fn iptables_usable(family: Family) -> bool {
        is_installed(program(family))
    }

    /// Whether the kernel has nftables and lets us use it.
    pub fn nft_usable(&mut self) -> bool {
        packet_filter::is_usable(self, Place::Host)
    }

    /// As [`Linux::nft_usable`], for who is going to look at a chain and its rules next.
    pub fn nft_usable_for(&mut self, chain: &NftChain) -> bool {
        packet_filter::is_usable_for(self, Place::Host, &chain.table, &chain.name)
    }

    /// Whether the host's packet filter drops forwarded packets that no rule accepts, for each
    /// family.
    pub fn forward_policies_are_drop<const N: usize>(
        &mut self,
        families: [Family; N],
    ) -> [Result<bool, KernelError>; N] {
        let tables = families.map(|family| nft_table(family, "filter"));
        packet_filter::ask_for_policies(self, Place::Host, &tables, "FORWARD");
        let answers = families.map(|family| self.forward_policy_is_drop(family));
        self.on_host.forget_answers();
        answers
    }

    fn forward_policy_is_drop(&mut self, family: Family) -> Result<bool, KernelError> {
        let (place, chain) = (Place::Host, "FORWARD");
        let table = nft_table(family, "filter");
        if packet_filter::drops_by_default(self, place, &table, chain)? == Some(true) {
            return Ok(true);
        }
        let has_legacy_table = self.has_legacy_table(place, family, "filter");
        if !self.note(has_legacy_table)? {
            return Ok(false);
        }
        let program = program_for(family, Variant::Legacy);
        let printed = self.run(place, &program, &iptables::list("filter", chain))?;
        Ok(iptables::drops_by_default(&printed, chain))
    }

    fn has_legacy_table(
        &mut self,
        place: Place,
        family: Family,
        table: &str,
    ) -> Result<bool, KernelError> {
        // Not `/proc/net`: that shows the namespace of the process's first thread.
        let file = match family {
            Family::V4 => "/proc/thread-self/net/ip_tables_names",
            Family::V6 => "/proc/thread-self/net/ip6_tables_names",
        };
        match self.within(place, || sysctl::read(Path::new(file)))? {
            Ok(names) => Ok(names.lines().any(|name| name == table)),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(error_about(errno, &format!("open {file}"))),
        }
    }

    /// The packet filters that may have a chain: nftables if it has, the legacy one if it has the
    /// table.
    fn variants(
        &mut self,
        place: Place,
        family: Family,
        table: &str,
        chain: &str,
    ) -> Result<Vec<Variant>, KernelError> {
        let mut variants = Vec::new();
        if packet_filter::has_chain(self, place, &nft_table(family, table), chain)? {
            variants.push(Variant::Nft);
        }
        if self.has_legacy_table(place, family, table)? {
            variants.push(Variant::Legacy);
        }
        Ok(variants)
    }

    /// The packet filters that have a chain.
    fn variants_of_chain(
        &mut self,
        place: Place,
        chain: &IptablesChain,
    ) -> Result<Vec<Variant>, KernelError> {
        let mut variants = Vec::new();
        for variant in self.variants(place, chain.family, &chain.table, &chain.name)? {
            let list = iptables::list(&chain.table, &chain.name);
            let is_there = variant == Variant::Nft
                || self.succeeds(place, &program_for(chain.family, variant), &list)?;
            variants.extend(is_there.then_some(variant));
        }
        Ok(variants)
    }

    fn has_rule(&mut self, place: Place, rule: &IptablesRule) -> Result<bool, KernelError> {
        for variant in self.variants(place, rule.family, &rule.table, &rule.chain)? {
            let program = program_for(rule.family, variant);
            if self.succeeds(place, &program, &iptables::check(rule))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn succeeds(
        &mut self,
        place: Place,
        program: &str,
        arguments: &[String],
    ) -> Result<bool, KernelError> {
        match self.run(place, program, arguments) {
            Ok(_) => Ok(true),
            Err(Failure::Status(_)) => Ok(false),
            Err(Failure::NotRun(error)) => Err(error),
        }
    }

    /// Runs a program in the namespace of a place; its output.
    fn run(
        &mut self,
        place: Place,
        program: &str,
        arguments: &[String],
    ) -> Result<String, Failure> {
        // It takes a hundred times as long as a look at nftables, which others may change meanwhile.
        self.seen_elements.clear();
        let run = || Command::new(program).args(arguments).output();
        let output = self.within(place, run).map_err(Failure::NotRun)?.map_err(|failure| {
            Failure::NotRun(if failure.kind() == io::ErrorKind::NotFound {
                error(format!("exec: {program:?}: executable file not found in $PATH"))
            } else {
                io_error(&failure, &format!("exec: {program:?}"))
            })
        })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let status = output.status.code().map_or_else(|| "by a signal".into(), |n| n.to_string());
        Err(Failure::Status(error(format!("exit status {status}: {}", said.trim()))))
    }
}

pub(super) fn nft_table(family: Family, table: &str) -> TableRef {
    let family = match family {
        Family::V4 => NftFamily::Ip,
        Family::V6 => NftFamily::Ip6,
    };
    TableRef::new(family, table)
}

/// The program that works on one of the two packet filters; the plain one, whichever it is, where
/// a distribution has no names of its own for them.
fn program_for(family: Family, variant: Variant) -> String {
    let plain = program(family);
    let own = match variant {
        Variant::Nft => format!("{plain}-nft"),
        Variant::Legacy => format!("{plain}-legacy"),
    };
    if is_installed(&own) { own } else { plain.into() }
}

fn is_installed(program: &str) -> bool {
    let path: OsString = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|directory| directory.join(program).is_file())
}
