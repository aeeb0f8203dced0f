//! Kernel parameters, read and written below `/proc/sys` in the namespace of the place.

use std::path::Path;

use ropewalk_netstate::{KernelError, Place, resource::Sysctl};
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};

use super::Linux;
pub(super) use crate::translate::sysctl::link_of;
use crate::{error::error_about, translate::sysctl};

/// Few parameters are longer than this, in bytes.
const PIECE: usize = 4096;

/// A parameter; `None` if the kernel does not have it.
pub(super) fn find(
    linux: &mut Linux,
    place: Place,
    wanted: &Sysctl,
) -> Result<Option<Sysctl>, KernelError> {
    if let Some(question) = sysctl::find(&wanted.path)
        && let Ok(Some(value)) = linux.route(place)?.get(question, sysctl::read)
    {
        return Ok(Some(Sysctl { value, ..wanted.clone() }));
    }
    let file = sysctl::file(&wanted.path).ok_or_else(|| error_about(Errno::INVAL, &wanted.path))?;
    match linux.within(place, || read(&file))? {
        Ok(text) => Ok(Some(Sysctl { value: sysctl::value(&text), ..wanted.clone() })),
        Err(errno) if is_absent(errno) => Ok(None),
        Err(errno) => Err(error_about(errno, &format!("open {}", file.display()))),
    }
}

/// Writes a parameter.
pub(super) fn set(linux: &mut Linux, place: Place, wanted: &Sysctl) -> Result<(), KernelError> {
    let file = sysctl::file(&wanted.path).ok_or_else(|| error_about(Errno::INVAL, &wanted.path))?;
    match linux.within(place, || write(&file, wanted.value.as_bytes()))? {
        Err(errno) if wanted.optional && is_absent(errno) => Ok(()),
        result => result.map_err(|errno| cannot_write(wanted, errno)),
    }
}

/// Why a parameter was not set, whichever way was tried.
pub(super) fn cannot_write(wanted: &Sysctl, errno: Errno) -> KernelError {
    error_about(errno, &format!("write {:?} to /proc/sys/{}", wanted.value, wanted.path))
}

/// Reads a file of procfs. The kernel fills what it is given, so that a short piece is the last one.
pub(super) fn read(file: &Path) -> Result<String, Errno> {
    let fd = rustix::fs::open(file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let (mut piece, mut bytes) = ([0; PIECE], Vec::new());
    loop {
        let length = rustix::io::retry_on_intr(|| rustix::io::read(&fd, &mut piece))?;
        bytes.extend_from_slice(&piece[..length]);
        if length < PIECE {
            return Ok(String::from_utf8_lossy(&bytes).into_owned());
        }
    }
}

/// The kernel takes a value in one write; the file must exist.
fn write(file: &Path, value: &[u8]) -> Result<(), Errno> {
    let fd = rustix::fs::open(file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::retry_on_intr(|| rustix::io::write(&fd, value)).map(|_| ())
}

fn is_absent(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::NOTDIR)
}
