//! Finds network namespaces: those of processes, those that are mounted, those with a name.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use ropewalk_topology::model::{Identity, Namespace, Process};

use super::owners;
use crate::netns::{Netns, NetnsError};

/// Where `ip netns` keeps names.
const NAMED: &str = "/run/netns";

/// How many processes of a namespace are asked for their container.
const ASKED: usize = 4;

/// Through how many processes a view of mounts is looked at, because each may end.
const WITNESSES: usize = 2;

/// A namespace, and where it can be opened.
#[derive(Debug)]
pub(super) struct Found {
    /// Without its content.
    pub(super) namespace: Namespace,
    pub(super) source: Source,
    pids: Vec<u32>,
}

/// Where a namespace can be opened, and which one it must be.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// The best one first; processes come and go.
    paths: Vec<PathBuf>,
    inode: u64,
}

/// What is known of one inode.
#[derive(Debug, Default)]
struct Known {
    pids: Vec<u32>,
    paths: Vec<String>,
    /// Paths that only other processes see.
    elsewhere: Vec<String>,
}

impl Source {
    /// Which one it must be.
    pub(super) fn inode(&self) -> u64 {
        self.inode
    }

    /// Opens it; `None` if it is gone.
    pub(super) fn open(&self) -> Result<Option<Netns>, String> {
        let mut refused = None;
        for path in &self.paths {
            match Netns::open(path) {
                // The process may be another one by now.
                Ok(netns) if netns.inode() == Some(self.inode) => return Ok(Some(netns)),
                Ok(_) | Err(NetnsError::Missing { .. }) => {}
                Err(error) => refused = Some(error.to_string()),
            }
        }
        refused.map_or(Ok(None), Err)
    }
}

/// What somebody calls a namespace.
pub(super) struct Name<'a> {
    text: &'a str,
    pid: Option<u32>,
    /// The one that is at this path, by whatever way it leads there.
    at_path: Option<Identity>,
}

impl<'a> Name<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let file = text.starts_with('/').then(|| fs::metadata(text).ok()).flatten();
        let at_path = file.map(|file| Identity { device: file.dev(), inode: file.ino() });
        Self { text, pid: text.parse().ok(), at_path }
    }
}

impl Found {
    /// Whether somebody means this one.
    pub(super) fn is_called(&self, name: &Name<'_>) -> bool {
        let text = name.text;
        let is_path = |path: &String| path == text || path.rsplit('/').next() == Some(text);
        let container = self.namespace.container.as_ref();
        name.at_path == Some(self.namespace.identity)
            || self.namespace.paths.iter().any(is_path)
            || name.pid.is_some_and(|pid| self.pids.contains(&pid))
            || container.is_some_and(|one| !text.is_empty() && one.id.starts_with(text))
    }
}

/// All namespaces that can be found from here; the own one first.
pub(super) fn find() -> Vec<Found> {
    let own = own_path();
    let Ok(own_file) = fs::metadata(&own) else { return Vec::new() };
    let mut known: BTreeMap<u64, Known> = BTreeMap::new();
    known.entry(own_file.ino()).or_default();
    // How many processes of a view of mounts were asked; the own view needs no others.
    let own_view = fs::read_link("/proc/self/ns/mnt").map(|view| (view, WITNESSES));
    let mut asked: BTreeMap<PathBuf, usize> = own_view.into_iter().collect();
    for (inode, path) in mounts("/proc/self", "") {
        known.entry(inode).or_default().paths.push(path);
    }
    for (inode, path) in named(own_file.dev()) {
        known.entry(inode).or_default().paths.push(path);
    }
    for (pid, inode) in processes() {
        known.entry(inode).or_default().pids.push(pid);
        let process = format!("/proc/{pid}");
        let Ok(view) = fs::read_link(format!("{process}/ns/mnt")) else { continue };
        let count = asked.entry(view).or_default();
        *count += 1;
        if *count <= WITNESSES {
            for (inode, path) in mounts(&process, &format!("{process}/root")) {
                known.entry(inode).or_default().elsewhere.push(path);
            }
        }
    }
    let mut found: Vec<Found> = known
        .into_iter()
        .map(|(inode, known)| found(inode, known, (&own, own_file.ino()), own_file.dev()))
        .collect();
    found.sort_by_key(|found| !found.namespace.is_own);
    found
}

/// The namespace of the calling thread, also when another one looks.
fn own_path() -> PathBuf {
    let thread = fs::read_link("/proc/thread-self").unwrap_or_default();
    Path::new("/proc").join(thread).join("ns/net")
}

/// The namespaces that are mounted where a process is, at paths below its root.
fn mounts(process: &str, root: &str) -> Vec<(u64, String)> {
    let mounts = fs::read_to_string(format!("{process}/mountinfo")).unwrap_or_default();
    let below = |(inode, path): (u64, String)| (inode, format!("{root}{path}"));
    mounts.lines().filter_map(mounted).map(below).collect()
}

fn found(inode: u64, mut known: Known, own: (&Path, u64), device: u64) -> Found {
    known.pids.sort_unstable();
    let is_own = inode == own.1;
    // Mounts are copied into new views; those there say nothing new.
    if known.paths.is_empty() {
        known.paths = std::mem::take(&mut known.elsewhere);
    }
    let is_named = |path: &String| path.contains(NAMED);
    known.paths.sort_by_key(|path| (!is_named(path), path.clone()));
    known.paths.dedup();
    let (container, unit) = if is_own || known.pids.first() == Some(&1) {
        (None, None)
    } else {
        owners::of(known.pids.iter().copied().take(ASKED))
    };
    let processes = known.pids.iter().take(ASKED).map(|pid| format!("/proc/{pid}/ns/net").into());
    let first = is_own.then(|| own.0.to_path_buf());
    let paths = first.into_iter().chain(known.paths.iter().map(PathBuf::from)).chain(processes);
    let paths = paths.collect();
    let owner = known.pids.first().map(|&pid| Process { pid, command: owners::command(pid) });
    let namespace = Namespace {
        identity: Identity { device, inode },
        is_own,
        process_count: known.pids.len(),
        paths: known.paths,
        owner,
        container,
        unit,
        attachments: Vec::new(),
        numbers: BTreeMap::new(),
        content: Err("not read".into()),
    };
    Found { namespace, source: Source { paths, inode }, pids: known.pids }
}

/// Processes with the inodes of their namespaces; those of other users may not be seen.
fn processes() -> impl Iterator<Item = (u32, u64)> {
    fs::read_dir("/proc").into_iter().flatten().filter_map(|entry| {
        let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let link = fs::read_link(format!("/proc/{pid}/ns/net")).ok()?;
        Some((pid, inode_in(link.to_str()?)?))
    })
}

/// The number in `net:[4026531840]`.
fn inode_in(text: &str) -> Option<u64> {
    text.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()
}

/// A mounted network namespace, from a line of mountinfo.
fn mounted(line: &str) -> Option<(u64, String)> {
    let (mount, kind) = line.split_once(" - ")?;
    if !kind.starts_with("nsfs ") {
        return None;
    }
    let mut fields = mount.split(' ').skip(3);
    let inode = inode_in(fields.next()?)?;
    Some((inode, unescaped(fields.next()?)))
}

/// Mountinfo writes blanks and the like as three octal digits.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let (b'\\', Some(code)) = (first, code) {
            bytes.push(code);
            rest = &tail[3..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Names that lead to a namespace without being a mount: links to those of processes.
fn named(device: u64) -> impl Iterator<Item = (u64, String)> {
    let entries = fs::read_dir(NAMED).into_iter().flatten();
    entries.filter_map(move |entry| {
        let path = entry.ok()?.path();
        let is_link = fs::symlink_metadata(&path).ok()?.is_symlink();
        let target = fs::metadata(&path).ok().filter(|target| is_link && target.dev() == device)?;
        Some((target.ino(), lossy(&path)))
    })
}

fn lossy(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounted_namespaces_are_told_from_other_mounts() {
        let line = "74 52 0:4 net:[4026532258] /run/netns/a\\040b rw shared:30 - nsfs nsfs rw";
        assert_eq!(mounted(line), Some((4_026_532_258, "/run/netns/a b".into())));
        assert_eq!(mounted("74 52 0:4 mnt:[4026532258] /run/x rw - nsfs nsfs rw"), None);
        assert_eq!(mounted("22 1 0:20 / /proc rw - proc proc rw"), None);
        assert_eq!(mounted(""), None);
    }

    #[test]
    fn the_own_namespace_is_found_first() {
        let found = find();
        assert!(found[0].namespace.is_own);
        assert_eq!(found.iter().filter(|found| found.namespace.is_own).count(), 1);
    }
}
