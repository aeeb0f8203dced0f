//! One test host: an emulated machine that runs a job and powers itself off.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use super::image::{Image, failed, write};
use crate::process;

/// What a test host is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// nftables, and iptables on top of it.
    Nftables,
    /// A kernel without nftables; iptables is the old one.
    IptablesOnly,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 2] = [Self::Nftables, Self::IptablesOnly];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nftables => "nftables",
            Self::IptablesOnly => "iptables-only",
        }
    }
}

/// No host may take longer to run its job.
const DEADLINE_SECONDS: &str = "1500";

const MEMORY_MIB: &str = "1536";

/// What the kernel is told. Without `norandmaps` the emulator would translate every program anew
/// each time it starts, which is most of what a short program costs; waiting for processors that
/// are not there, clearing memory and checking copies are left out for the same reason.
const KERNEL_OPTIONS: &str = "console=ttyS0 quiet panic=-1 norandmaps nokaslr mitigations=off \
                              rcupdate.rcu_expedited=1 init_on_alloc=0 hardened_usercopy=off \
                              apparmor=0 audit=0";

/// Starts a host that runs a shell script. Whoever answers gets every line that the script writes to
/// its standard output, and may write one to its standard input. The result is the script's status.
pub(super) fn run(
    image: &Image,
    kind: Kind,
    directory: &Path,
    script: &str,
    answer: impl FnMut(&str) -> Option<String>,
) -> Result<i32, String> {
    fs::create_dir_all(directory).map_err(|error| failed("make", directory, &error))?;
    let job = directory.join(format!("{}.sh", kind.name()));
    write(&job, script.as_bytes())?;
    let log = log(directory, kind);
    // The emulator's own words and those of the guest are appended to one file.
    let words = File::create(&log).map_err(|error| failed("make", &log, &error))?;
    let mut emulator = emulator(image, kind, &job, &log);
    let status = process::converse(emulator.stderr(words), answer)?;
    match status.code() {
        // The guest ends the emulator with an odd status; an even one is the emulator's own.
        Some(code) if code & 1 == 1 => Ok(code >> 1),
        Some(124) => Err(format!("it was not done after {DEADLINE_SECONDS} seconds")),
        _ => Err(format!("the emulator ended with {status}")),
    }
}

/// Where everything goes that a host says beside the job's standard output.
pub(super) fn log(directory: &Path, kind: Kind) -> PathBuf {
    directory.join(format!("{}.log", kind.name()))
}

fn emulator(image: &Image, kind: Kind, job: &Path, log: &Path) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--foreground", "--kill-after=5", DEADLINE_SECONDS, "qemu-system-x86_64"]);
    command.args(["-accel", "tcg,tb-size=256", "-cpu", "max", "-m", MEMORY_MIB]);
    command.args(["-display", "none", "-vga", "none", "-monitor", "none", "-no-reboot"]);
    command.arg("-kernel").arg(&image.kernel).arg("-initrd").arg(&image.files);
    let options =
        format!("{KERNEL_OPTIONS} ropewalk.host={} ropewalk.job={}", kind.name(), job.display());
    command.args(["-append", &options]);
    let file = format!("file,id=log,append=on,path={}", log.display());
    command.args(["-chardev", &file, "-serial", "chardev:log", "-serial", "stdio"]);
    command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=1"]);
    let machine = "local,path=/,mount_tag=machine,security_model=none,readonly=on,multidevs=remap";
    command.args(["-virtfs", machine, "-nic", "none"]);
    // Two network cards on PCI, joined by a wire.
    for number in 1..=2 {
        command.args(["-netdev", &format!("hubport,hubid=0,id=net{number}")]);
        let card =
            format!("virtio-net-pci,netdev=net{number},mac=52:54:00:00:00:0{number},romfile=");
        command.args(["-device", &card]);
    }
    command
}
