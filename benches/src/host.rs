//! Private hosts: network namespaces that stand for machines, and below each the namespaces of
//! its containers.
//!
//! The files that plugins write are this process's own: its mount table is not the machine's.
//! Everything vanishes with the process.

use std::{
    fs::{self, File},
    net::Ipv4Addr,
    process::Command,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{Outcome, failed, sys};

/// Directories that plugins write to; each is fresh and in memory, because a file system on a disk
/// remembers files that were deleted.
const FRESH: [&str; 3] = ["/run", "/var/lib/cni", "/var/lib/ropewalk"];

/// Where plugins of several contestants are.
pub const PLUGINS: &str = "/run/bench";

/// The address of a host that has an outside, and that of the outside.
pub const OUTER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The outside.
pub const OUTSIDE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

/// How long the kernel may take to clear a host away.
const CLEARED_WITHIN: Duration = Duration::from_mins(1);

/// What hosts are made on: a network and mounts of this process's own.
#[derive(Debug)]
pub struct Machine {
    network: File,
}

/// A network namespace that stands for a machine.
#[derive(Debug)]
pub struct Host {
    name: String,
    namespace: File,
    containers: Vec<String>,
}

impl Machine {
    /// Leaves the network and the mounts of the real machine, for good. Threads that run already
    /// stay there.
    pub fn leave_real_one() -> Outcome<Self> {
        sys::leave_mounts().map_err(failed("failed to leave the machine's mounts (needs root)"))?;
        for directory in FRESH {
            fs::create_dir_all(directory).map_err(failed(directory))?;
            sys::cover(directory).map_err(failed(directory))?;
        }
        for directory in ["/run/netns", "/run/lock", PLUGINS] {
            fs::create_dir_all(directory).map_err(failed(directory))?;
        }
        // Engines make a mount of it if it is none, and what lies below can then not be removed.
        sys::cover("/run/netns").map_err(failed("/run/netns"))?;
        sys::leave_network().map_err(failed("failed to leave the machine's network"))?;
        let network = File::open("/proc/thread-self/ns/net").map_err(failed("own network"))?;
        Ok(Self { network })
    }

    /// A host of this name with `lo` and what a script makes.
    pub fn host(&self, name: &str, script: &str) -> Outcome<Host> {
        let path = make_namespace(name)?;
        let namespace = File::open(&path).map_err(failed(&path))?;
        self.enter()?;
        // A link from here to there goes when the kernel has cleared the host away.
        let canary = canary(name);
        run(&format!("ip link add {canary} type veth peer name canary netns {name}"))?;
        let host = Host { name: name.to_owned(), namespace, containers: Vec::new() };
        host.enter()?;
        run("ip link set lo up")?;
        run(script)?;
        Ok(host)
    }

    /// Takes a host away with all containers, and waits until the kernel has.
    pub fn remove(&self, host: Host) -> Outcome<()> {
        self.enter()?;
        let own = format!("/run/netns/{}", host.name);
        for path in host.containers.iter().chain([&own]) {
            sys::unmount(path).map_err(failed(path))?;
            fs::remove_file(path).map_err(failed(path))?;
        }
        let canary = format!("{}:", canary(&host.name));
        drop(host);
        let deadline = Instant::now() + CLEARED_WITHIN;
        while Instant::now() < deadline {
            let links = fs::read_to_string("/proc/thread-self/net/dev").map_err(failed("links"))?;
            if !links.contains(&canary) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err("the kernel does not clear a host away".to_owned())
    }

    fn enter(&self) -> Outcome<()> {
        sys::enter_network(&self.network).map_err(failed("own network"))
    }
}

impl Host {
    /// Makes this thread, and what it starts, be on this host.
    pub fn enter(&self) -> Outcome<()> {
        sys::enter_network(&self.namespace).map_err(failed(&self.name))
    }

    /// Adds a namespace beside this host, at [`OUTSIDE`], with no way to containers but through the
    /// host's address, [`OUTER`]; answers its path.
    pub fn outside(&mut self, name: &str) -> Outcome<String> {
        let path = self.container(name)?;
        self.enter()?;
        run(&format!(
            "ip link add outer type veth peer name outer netns {name}
             ip address add {OUTER}/24 dev outer
             ip link set outer up
             ip -n {name} address add {OUTSIDE}/24 dev outer
             ip -n {name} link set outer up"
        ))?;
        Ok(path)
    }

    /// Adds a container's namespace; answers its path.
    pub fn container(&mut self, name: &str) -> Outcome<String> {
        let path = make_namespace(name)?;
        self.containers.push(path.clone());
        Ok(path)
    }
}

fn canary(name: &str) -> String {
    let hash = name.bytes().fold(5381_u32, |hash, byte| hash.wrapping_mul(33) ^ u32::from(byte));
    format!("c{hash:08x}")
}

/// A named network namespace.
fn make_namespace(name: &str) -> Outcome<String> {
    let path = format!("/run/netns/{name}");
    File::create_new(&path).map_err(failed(&path))?;
    let target = path.clone();
    // A thread of its own: it leaves its network, which then lives on in the mount.
    let made = thread::spawn(move || {
        sys::leave_network()?;
        sys::bind("/proc/thread-self/ns/net", &target)
    });
    match made.join() {
        Ok(made) => made.map_err(failed(&path))?,
        Err(_) => return Err(format!("{path}: the thread that made it failed")),
    }
    Ok(path)
}

/// Does something in a network namespace, on a thread of its own.
pub fn within<T: Send + 'static>(
    netns: &str,
    work: impl FnOnce() -> Outcome<T> + Send + 'static,
) -> Outcome<JoinHandle<Outcome<T>>> {
    let namespace = File::open(netns).map_err(failed(netns))?;
    Ok(thread::spawn(move || {
        sys::enter_network(&namespace).map_err(failed("a namespace"))?;
        work()
    }))
}

/// Runs a shell script.
pub fn run(script: &str) -> Outcome<()> {
    let status = Command::new("sh").args(["-e", "-c", script]).status().map_err(failed("sh"))?;
    if status.success() { Ok(()) } else { Err(format!("{script}: {status}")) }
}
