//! Where the books are: a database, or the folder of the plugin `host-local`.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ropewalk_ledger::{
    Filter, Holder, Kind, Lease, Ledger, Location, Options, Rest, Run, Standing, State, Trouble,
};
use ropewalk_store::LeaseDirectory;
use ropewalk_topology::doctor::books as model;

use super::Source;
use crate::exit::Exit;
use crate::failure::Failure;

/// The scheme of folders, which is no database's.
pub(crate) const FOLDER: &str = "host-local://";

/// Opened books.
pub(crate) struct Books {
    /// This host's name in them.
    pub(super) host: String,
    url: String,
    place: Place,
}

enum Place {
    Database(Ledger),
    Folder(PathBuf),
}

impl Books {
    pub(crate) fn open(source: &Source) -> Result<Self, Failure> {
        let host = source.this_host.clone().unwrap_or_else(ropewalk_linux::host_name);
        if let Some(folder) = source.database.strip_prefix(FOLDER) {
            let place = Place::Folder(PathBuf::from(folder));
            return Ok(Self { host, url: source.database.clone(), place });
        }
        let wrong = |text| Failure::new(Exit::Usage, format!("failed to read --database: {text}"));
        let mut location = Location::parse(&source.database).map_err(wrong)?;
        match &mut location {
            Location::File(path) if !path.exists() => {
                let text = format!("failed to open database {}: no such file", path.display());
                return Err(Failure::failed(text).with_hint("name another with --database"));
            }
            Location::File(_) => {}
            Location::Server(server) => {
                server.password_file = source.password_file.clone().or(server.password_file.take());
            }
        }
        let options = Options { is_renewed: true, ..Options::default() };
        let ledger = Ledger::open(&location, &options).map_err(|trouble| failure(&trouble))?;
        // As people may see it.
        Ok(Self { host, url: location.to_string(), place: Place::Database(ledger) })
    }

    /// The database, for what a folder has not.
    pub(super) fn database(&mut self) -> Result<&mut Ledger, Failure> {
        match &mut self.place {
            Place::Database(ledger) => Ok(ledger),
            Place::Folder(_) => {
                let text = "failed to do this with the folder of host-local: it takes a database";
                Err(Failure::new(Exit::Usage, text))
            }
        }
    }

    /// The leases, ascending by address.
    pub(super) fn leases(&mut self, filter: &Filter) -> Result<Vec<Lease>, Failure> {
        let mut leases = Vec::new();
        match &mut self.place {
            Place::Database(ledger) => {
                let read = ledger.leases(filter, |lease| leases.push(lease));
                read.map_err(|trouble| failure(&trouble))?;
            }
            Place::Folder(folder) => {
                leases = in_folder(folder, &self.host)?;
                leases.retain(|lease| is_wanted(filter, lease));
            }
        }
        leases.sort_by(|one, other| (one.ip, &one.space).cmp(&(other.ip, &other.space)));
        Ok(leases)
    }

    /// Pools and blocks; a folder knows of none.
    pub(super) fn runs(&mut self) -> Result<Vec<Run>, Failure> {
        self.database()?.runs().map_err(|trouble| failure(&trouble))
    }

    /// What these books say, to be held against what is there.
    pub(crate) fn model(&mut self) -> Result<model::Books, Failure> {
        let mut leases = self.leases(&Filter::default())?;
        leases.retain(|lease| matches!(lease.state, State::Held | State::Reserved(_)));
        // A folder does not know its pools.
        let runs = self.runs().unwrap_or_default();
        let pool = |run: &Run| {
            let ends = (run.ends.0.parse().ok()?, run.ends.1.parse().ok()?);
            Some(model::Pool { space: run.space.clone(), ends })
        };
        let lease = |lease: Lease| model::Lease {
            ip: lease.ip,
            space: lease.space,
            host: lease.host,
            network: lease.holder.network,
            container: lease.holder.container,
            interface: lease.holder.interface,
            since: lease.since,
            is_held: lease.state == State::Held,
        };
        Ok(model::Books {
            kind: if matches!(self.place, Place::Folder(_)) { "host-local" } else { "sql" },
            url: self.url.clone(),
            host: self.host.clone(),
            leases: leases.into_iter().map(lease).collect(),
            pools: runs.iter().filter_map(pool).collect(),
        })
    }

    pub(super) fn reserve(
        &mut self,
        space: &str,
        ip: IpAddr,
        name: Option<&str>,
        now: u64,
    ) -> Result<bool, Failure> {
        let reserved = self.database()?.reserve(space, ip, name, now);
        reserved.map_err(|trouble| failure(&trouble))
    }

    /// Gives one address back, whoever has it, and drops what it is reserved for.
    pub(super) fn free(&mut self, space: &str, ip: IpAddr, rest: Rest) -> Result<bool, Failure> {
        match &mut self.place {
            Place::Database(ledger) => {
                ledger.free(space, ip, rest).map_err(|trouble| failure(&trouble))
            }
            Place::Folder(folder) => {
                let failed = |error: ropewalk_store::StoreError| Failure::failed(error.to_string());
                let leases = LeaseDirectory::new(folder, space).lock().map_err(failed)?;
                let is_there = leases.leases().map_err(failed)?.iter().any(|lease| lease.ip == ip);
                leases.release(ip).map_err(failed)?;
                Ok(is_there)
            }
        }
    }

    /// Gives one address back, if the same holder still has it since then; what it is reserved for
    /// stays. The answer is whether it was given back.
    pub(crate) fn give_back(
        &mut self,
        space: &str,
        ip: IpAddr,
        standing: &Standing,
        rest: Rest,
    ) -> Result<bool, Failure> {
        match &mut self.place {
            Place::Database(ledger) => {
                ledger.give_back(space, ip, standing, rest).map_err(|trouble| failure(&trouble))
            }
            Place::Folder(folder) => {
                let failed = |error: ropewalk_store::StoreError| Failure::failed(error.to_string());
                let leases = LeaseDirectory::new(&*folder, space).lock().map_err(failed)?;
                let is_same = |lease: &Lease| {
                    (lease.ip, &lease.holder, lease.since) == (ip, &standing.holder, standing.since)
                };
                let is_there = of_network(folder, space, &self.host)?.iter().any(is_same);
                if is_there {
                    leases.release(ip).map_err(failed)?;
                }
                Ok(is_there)
            }
        }
    }

    /// What is kept for long enough, and empty blocks; a folder has neither.
    pub(super) fn sweep(&mut self, now: u64) -> Result<(u64, u64), Failure> {
        match &mut self.place {
            Place::Database(ledger) => {
                ledger.sweep(&self.host, now).map_err(|trouble| failure(&trouble))
            }
            Place::Folder(_) => Ok((0, 0)),
        }
    }
}

pub(super) fn failure(trouble: &Trouble) -> Failure {
    let exit = if trouble.kind == Kind::Refused { Exit::NotPermitted } else { Exit::Failed };
    let failure = Failure::new(exit, trouble.to_string());
    if trouble.hint.is_empty() { failure } else { failure.with_hint(trouble.hint) }
}

fn is_wanted(filter: &Filter, lease: &Lease) -> bool {
    let is = |wanted: &Option<String>, found: &String| {
        wanted.as_ref().is_none_or(|wanted| wanted == found)
    };
    is(&filter.network, &lease.holder.network)
        && is(&filter.host, &lease.host)
        && is(&filter.container, &lease.holder.container)
        && filter.ip.is_none_or(|ip| ip == lease.ip)
}

/// The leases of every network that has a folder. A lease is as old as its file.
pub(super) fn in_folder(folder: &Path, host: &str) -> Result<Vec<Lease>, Failure> {
    let failed = |error| Failure::failed(format!("failed to list {}: {error}", folder.display()));
    let mut leases = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !entry.path().is_dir() {
            continue;
        }
        let network = entry.file_name().to_string_lossy().into_owned();
        leases.extend(of_network(folder, &network, host)?);
    }
    Ok(leases)
}

/// The leases in the folder of a network.
fn of_network(folder: &Path, network: &str, host: &str) -> Result<Vec<Lease>, Failure> {
    let found = LeaseDirectory::new(folder, network).leases();
    let found = found.map_err(|error| Failure::failed(error.to_string()))?;
    let lease = |lease: ropewalk_store::Lease| {
        let file = fs::metadata(folder.join(network).join(lease.ip.to_string()));
        let written = file.and_then(|file| file.modified()).ok();
        let since = written.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        Lease {
            ip: lease.ip,
            space: network.to_owned(),
            pool: String::new(),
            block: String::new(),
            group: if lease.ip.is_ipv4() { "IPv4" } else { "IPv6" }.to_owned(),
            holder: Holder {
                network: network.to_owned(),
                container: lease.holder.container,
                interface: lease.holder.interface.unwrap_or_default(),
            },
            pod: None,
            namespace: None,
            host: host.to_owned(),
            since: since.unwrap_or_default().as_secs(),
            state: State::Held,
            name: None,
            is_reserved: false,
        }
    };
    Ok(found.into_iter().map(lease).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_an_address_back_only_while_its_holder_has_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let ip: IpAddr = "10.1.0.2".parse().expect("an address");
        let leases = LeaseDirectory::new(folder.path(), "lan");
        let lease = |container: &str| {
            let leases = leases.lock().expect("it is locked");
            leases.release(ip).expect("it is released");
            let holder = ropewalk_store::Holder::new(container, "eth0");
            assert!(leases.reserve(ip, &holder).expect("it is leased"));
        };
        let database = format!("{FOLDER}{}", folder.path().display());
        let source = Source { database, password_file: None, this_host: None };
        let mut books = Books::open(&source).expect("they are there");
        let standing = |books: &mut Books| {
            let lease = books.leases(&Filter::default()).expect("they are read").remove(0);
            Standing { holder: lease.holder, since: lease.since }
        };
        let rest = Rest { now: 100, cooldown: 0, keep: 0 };
        lease("c1");
        let seen = standing(&mut books);
        lease("c2");
        assert!(!books.give_back("lan", ip, &seen, rest).expect("it is somebody else's"));
        let now = standing(&mut books);
        assert_eq!(now.holder.container, "c2");
        let before = Standing { since: now.since - 1, ..now.clone() };
        assert!(!books.give_back("lan", ip, &before, rest).expect("it was leased anew"));
        assert!(books.give_back("lan", ip, &now, rest).expect("it is its own"));
        assert!(!books.give_back("lan", ip, &now, rest).expect("it is nobody's"));
    }
}
