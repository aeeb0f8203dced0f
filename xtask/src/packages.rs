//! The programs that tests run, and the Debian packages they come in.

use std::{
    env, io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{console::tell, process};

/// A program, the package it comes in, and what it is for.
struct Tool {
    /// A name on `PATH`, or a whole path.
    program: &'static str,
    package: &'static str,
    purpose: &'static str,
}

const fn tool(program: &'static str, package: &'static str, purpose: &'static str) -> Tool {
    Tool { program, package, purpose }
}

/// A file of libcni as Debian packages it.
const LIBCNI: &str = "/usr/share/gocode/src/github.com/containernetworking/cni/libcni/api.go";

/// Debian's Python finds it there.
const JSONSCHEMA: &str = "/usr/lib/python3/dist-packages/jsonschema/__init__.py";

/// The same for this.
const OPENMETRICS: &str = "/usr/lib/python3/dist-packages/prometheus_client/openmetrics/parser.py";

/// The C compiler for the first choice of targets.
pub(crate) const MUSL_GCC: &str = "musl-gcc";

/// Debian's packages of the server have their version in every path but this.
pub(crate) const POSTGRES: &str = "/usr/bin/pg_ctlcluster";

/// Every program that a machine may lack.
const TOOLS: &[Tool] = &[
    tool("ip", "iproute2", "tests look at links, addresses and routes with it"),
    tool("ethtool", "ethtool", "tests look at offloads with it"),
    tool("nft", "nftables", "tests look at sets, maps and rules with it"),
    tool("iptables", "iptables", "the iptables back end runs it, and tests look at its rules"),
    tool("conntrack", "conntrack", "tests look at tracked connections with it"),
    tool("/usr/lib/cni/bridge", "containernetworking-plugins", "the reference, to compare with"),
    tool("podman", "podman", "a real client of the plugins"),
    tool("runc", "runc", "containers of podman and containerd run in it"),
    tool("conmon", "conmon", "podman watches containers with it"),
    tool("catatonit", "catatonit", "podman's first process in pods"),
    tool("containerd", "containerd", "a real client of the plugins"),
    tool("dockerd", "docker.io", "makes networks that are not CNI's, for the topology to find"),
    tool("busybox", "busybox-static", "the content of test images, and what test hosts start with"),
    tool("curl", "curl", "tests speak to containerd's CRI with it"),
    tool("ping", "iputils-ping", "tests send packets with it"),
    tool("jq", "jq", "plugins that tests write as scripts read JSON with it"),
    tool(JSONSCHEMA, "python3-jsonschema", "a JSON Schema validator that is not ours"),
    tool(OPENMETRICS, "python3-prometheus-client", "a reader of OpenMetrics that is not ours"),
    tool("/usr/sbin/lldpd", "lldpd", "says what switches say of themselves"),
    tool("strace", "strace", "tests kill plugins at the system calls it counts"),
    tool("firewalld", "firewalld", "the firewalld back end speaks to it"),
    tool("dbus-daemon", "dbus-daemon", "firewalld is reached over a bus of the tests' own"),
    tool("qemu-system-x86_64", "qemu-system-x86", "test hosts with other kernels run in it"),
    tool("cpio", "cpio", "packs the first file system of test hosts"),
    tool("modprobe", "kmod", "finds the modules of test hosts, and loads them there"),
    tool("xz", "xz-utils", "unpacks the kernel of test hosts"),
    tool("/usr/sbin/dnsmasq", "dnsmasq-base", "a DHCP server to lease addresses from"),
    tool("/usr/sbin/dhcpd", "isc-dhcp-server", "another one"),
    tool("/usr/sbin/kea-dhcp4", "kea-dhcp4-server", "a third one"),
    tool(
        "/usr/bin/systemd-socket-activate",
        "systemd",
        "opens the socket of the DHCP daemon for it",
    ),
    tool("clang", "clang", "compiles the fast path of bridges"),
    tool("python3", "python3", "tests ask bpf(2) with it"),
    tool("go", "golang-go", "builds a program on libcni, whose records ours must equal"),
    tool("node", "nodejs", "runs what builds the page, and what drives the browser"),
    tool("npm", "npm", "fetches what the page is built with"),
    tool("chromium", "chromium", "looks at the page"),
    tool("openssl", "openssl", "makes certificates to serve the page with"),
    tool(MUSL_GCC, "musl-tools", "compiles SQLite for the plugin `sql`"),
    tool(POSTGRES, "postgresql", "a database that many hosts lease addresses from"),
    tool(LIBCNI, "golang-github-appc-cni-dev", "libcni itself"),
];

/// System programs are there even where `PATH` is that of an ordinary user.
const SYSTEM_DIRECTORIES: [&str; 2] = ["/usr/sbin", "/sbin"];

pub(crate) fn is_there(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let system = SYSTEM_DIRECTORIES.into_iter().map(PathBuf::from);
    // An absolute path replaces the directory it is joined to.
    env::split_paths(&path).chain(system).any(|directory| directory.join(program).is_file())
}

fn missing(is_there: impl Fn(&str) -> bool) -> Vec<&'static Tool> {
    TOOLS.iter().filter(|tool| !is_there(tool.program)).collect()
}

/// Installs the packages whose programs are missing; asks nobody and nothing if none is.
pub(crate) fn prepare() -> Result<String, String> {
    install(&missing(is_there)).map(|installed| match installed.as_str() {
        "" => format!("all {} programs are there", TOOLS.len()),
        packages => format!("installed {packages}"),
    })
}

/// The same for some programs of the table.
pub(crate) fn prepare_for(programs: &[&str]) -> Result<(), String> {
    let is_wanted = |tool: &&Tool| programs.contains(&tool.program);
    install(&missing(is_there).into_iter().filter(is_wanted).collect::<Vec<_>>()).map(drop)
}

/// Installs packages and names them. Nothing goes to standard output.
fn install(missing_tools: &[&Tool]) -> Result<String, String> {
    for Tool { program, package, purpose } in missing_tools {
        tell(&format!("{program} is missing: installing {package} ({purpose})"));
    }
    let packages: Vec<&str> = missing_tools.iter().map(|tool| tool.package).collect();
    let names = packages.join(" ");
    if packages.is_empty() {
        return Ok(names);
    }
    if !Path::new("/usr/bin/apt-get").exists() {
        return Err(format!(
            "this is not a Debian system; install by hand what Debian calls {names}"
        ));
    }
    update()?;
    let install = ["install", "--yes", "--quiet=2", "--no-install-recommends"];
    process::run(apt_get(&install).args(&packages))?;
    match missing_tools.iter().find(|tool| !is_there(tool.program)) {
        Some(tool) => Err(format!("{} has no {}", tool.package, tool.program)),
        None => Ok(names),
    }
}

/// Reads the lists of what the mirrors have.
pub(crate) fn update() -> Result<(), String> {
    process::run(&mut apt_get(&["update", "--quiet=2"]))
}

fn apt_get(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    // Nobody asks for the daemons of packages to run on this machine: tests start their own.
    command.env("DEBIAN_FRONTEND", "noninteractive").env("SYSTEMD_OFFLINE", "1");
    command.args(arguments).stdout(io::stderr());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_installed() {
        assert!(missing(|_| true).is_empty());
        let packages: Vec<&str> =
            missing(|program| program != "nft").iter().map(|tool| tool.package).collect();
        assert_eq!(packages, ["nftables"]);
        assert_eq!(missing(|_| false).len(), TOOLS.len());
    }

    #[test]
    fn programs_are_found_by_name_and_by_path() {
        assert!(is_there("sh"));
        assert!(is_there("/bin/sh"));
        assert!(!is_there("no-such-program"));
    }
}
