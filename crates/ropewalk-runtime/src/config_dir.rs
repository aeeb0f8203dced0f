//! Finding networks in a folder such as `/etc/cni/net.d`.
//!
//! Lists (`*.conflist`) come before single plugins (`*.conf`, `*.json`), each in the order of their
//! file names, and the first file with the wanted name counts. A file that cannot be read is
//! reported beside the answer and never hides another network. It must never run anything.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ropewalk_cni::json::decode;
use ropewalk_cni::list::{no_configurations, no_such_network};
use ropewalk_cni::{CniError, NetworkList};

use crate::exec::reason;

/// Where configurations are unless somebody says otherwise.
pub const DEFAULT_CONFIG_DIR: &str = "/etc/cni/net.d";

/// A folder with network configurations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigDir {
    directory: PathBuf,
}

/// A network and the file it was read from.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// The network, with the plugins of its sub-folder.
    pub list: NetworkList,
    /// The file.
    pub path: PathBuf,
}

/// A file that was skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The file.
    pub path: PathBuf,
    /// The network it means to configure, as far as that can be read.
    pub name: Option<String>,
    /// What is wrong with it.
    pub error: CniError,
}

/// The wanted network, and what was skipped on the way to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The network.
    pub network: Network,
    /// Files that could not be read.
    pub skipped: Vec<Broken>,
}

/// Everything in a folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    /// The networks that can be found by name.
    pub networks: Vec<Network>,
    /// Networks that cannot: an earlier file has the same name.
    pub hidden: Vec<Network>,
    /// Files that could not be read.
    pub broken: Vec<Broken>,
}

/// Why a network was not found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FindError {
    /// The folder holds no configuration at all.
    Empty {
        /// The folder.
        directory: PathBuf,
    },
    /// No file configures this network.
    NoSuchNetwork {
        /// The wanted name.
        name: String,
        /// The folder.
        directory: PathBuf,
        /// The names that are there.
        known: Vec<String>,
        /// Files that could not be read.
        skipped: Vec<Broken>,
    },
    /// The file that means to configure this network is broken.
    Broken(Broken),
    /// The folder cannot be read.
    Unreadable {
        /// The folder.
        directory: PathBuf,
        /// Why not.
        kind: io::ErrorKind,
        /// The same as text.
        reason: String,
    },
}

impl fmt::Display for Broken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.path.display(), self.error)
    }
}

impl std::error::Error for Broken {}

impl FindError {
    /// The same as the protocol's error, in libcni's words.
    pub fn to_cni_error(&self) -> CniError {
        match self {
            Self::Empty { directory } => no_configurations(&directory.to_string_lossy()),
            Self::NoSuchNetwork { name, directory, .. } => {
                no_such_network(name, &directory.to_string_lossy())
            }
            Self::Broken(broken) => broken.error.clone(),
            Self::Unreadable { directory, reason, .. } => {
                CniError::internal(format!("failed to list {}: {reason}", directory.display()))
            }
        }
    }
}

impl fmt::Display for FindError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(broken) => broken.fmt(formatter),
            Self::Empty { .. } | Self::NoSuchNetwork { .. } | Self::Unreadable { .. } => {
                self.to_cni_error().fmt(formatter)
            }
        }
    }
}

impl std::error::Error for FindError {}

impl Default for ConfigDir {
    fn default() -> Self {
        Self::new(DEFAULT_CONFIG_DIR)
    }
}

impl ConfigDir {
    /// The configurations in a folder, which need not exist.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// The folder.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Finds a network by name.
    pub fn find(&self, name: &str) -> Result<Found, FindError> {
        let files = self.files()?;
        if files.is_empty() {
            return Err(FindError::Empty { directory: self.directory.clone() });
        }
        let mut known = Vec::new();
        let mut skipped = Vec::new();
        for path in files {
            match self.load(&path) {
                Ok(network) if network.list.name == name => return Ok(Found { network, skipped }),
                Ok(network) => known.push(network.list.name),
                Err(broken) => skipped.push(broken),
            }
        }
        let wanted = |broken: &Broken| broken.name.as_deref() == Some(name);
        if let Some(position) = skipped.iter().position(wanted) {
            return Err(FindError::Broken(skipped.swap_remove(position)));
        }
        let (name, directory) = (name.to_owned(), self.directory.clone());
        Err(FindError::NoSuchNetwork { name, directory, known, skipped })
    }

    /// Reads everything.
    pub fn list(&self) -> Result<Listing, FindError> {
        let mut listing = Listing::default();
        for path in self.files()? {
            match self.load(&path) {
                Ok(network) if listing.names(&network.list.name) => listing.hidden.push(network),
                Ok(network) => listing.networks.push(network),
                Err(broken) => listing.broken.push(broken),
            }
        }
        Ok(listing)
    }

    /// The files that may configure networks, in the order in which they count.
    fn files(&self) -> Result<Vec<PathBuf>, FindError> {
        let lists = files_with_extension(&self.directory, &["conflist"]);
        let singles = files_with_extension(&self.directory, &["conf", "json"]);
        let both = lists.and_then(|lists| Ok([lists, singles?].concat()));
        both.map_err(|error| FindError::Unreadable {
            directory: self.directory.clone(),
            kind: error.kind(),
            reason: reason(&error),
        })
    }

    /// Reads one file, and the sub-folder if it is a list.
    fn load(&self, path: &Path) -> Result<Network, Broken> {
        let broken = |name, error| Broken { path: path.to_owned(), name, error };
        let bytes = read(path).map_err(|error| broken(None, error))?;
        let list = if has_extension(path, &["conflist"]) {
            self.load_list(&bytes)
        } else {
            NetworkList::parse_single(&bytes)
        };
        let list = list.map_err(|error| broken(name_in(&bytes), error))?;
        Ok(Network { list, path: path.to_owned() })
    }

    fn load_list(&self, bytes: &[u8]) -> Result<NetworkList, CniError> {
        let mut list = NetworkList::parse(bytes)?;
        if !list.load_only_inlined_plugins && !list.name.contains('/') {
            let directory = self.directory.join(&list.name);
            let files = files_with_extension(&directory, &["conf"]);
            for path in files.map_err(|error| unreadable(&directory, &error))? {
                let appended = list.append_plugin(&read(&path)?);
                appended.map_err(|error| error.prefixed(path.display()))?;
            }
        }
        list.require_plugins()?;
        Ok(list)
    }
}

impl Listing {
    fn names(&self, name: &str) -> bool {
        self.networks.iter().any(|network| network.list.name == name)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CniError> {
    fs::read(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &io::Error) -> CniError {
    CniError::internal(format!("failed to read {}: {}", path.display(), reason(error)))
}

/// The files of a folder by full path; a folder that does not exist has none.
fn files_with_extension(directory: &Path, extensions: &[&str]) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        other => other?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry?;
        if !entry.file_type()?.is_dir() && has_extension(&entry.path(), extensions) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Whether the name ends in one of these. A name that begins with its only dot counts too.
fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.rsplit_once('.').is_some_and(|(_, extension)| extensions.contains(&extension))
}

/// The name in a configuration that is broken otherwise.
fn name_in(bytes: &[u8]) -> Option<String> {
    decode(bytes).ok()?.get("name")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests;
