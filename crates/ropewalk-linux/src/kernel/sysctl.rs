//! Kernel parameters, read and written below `/proc/sys` in the namespace of the place.

use std::{fs, io};

use ropewalk_netstate::{KernelError, Place, resource::Sysctl};
use rustix::io::Errno;

use super::Linux;
use crate::{
    error::{error_about, io_error},
    translate::sysctl,
};

/// A parameter; `None` if the kernel does not have it.
pub(super) fn find(
    linux: &mut Linux,
    place: Place,
    wanted: &Sysctl,
) -> Result<Option<Sysctl>, KernelError> {
    let file = sysctl::file(&wanted.path).ok_or_else(|| error_about(Errno::INVAL, &wanted.path))?;
    match linux.within(place, || fs::read_to_string(&file))? {
        Ok(text) => Ok(Some(Sysctl { value: sysctl::value(&text), ..wanted.clone() })),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(io_error(&error, &format!("open {}", file.display()))),
    }
}

/// Writes a parameter.
pub(super) fn set(linux: &mut Linux, place: Place, wanted: &Sysctl) -> Result<(), KernelError> {
    let file = sysctl::file(&wanted.path).ok_or_else(|| error_about(Errno::INVAL, &wanted.path))?;
    // The kernel takes a value in one write; the file must exist.
    let write = || {
        let mut file = fs::OpenOptions::new().write(true).open(&file)?;
        io::Write::write_all(&mut file, wanted.value.as_bytes())
    };
    match linux.within(place, write)? {
        Err(error) if wanted.optional && is_absent(&error) => Ok(()),
        result => result.map_err(|error| {
            io_error(&error, &format!("write {:?} to {}", wanted.value, file.display()))
        }),
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
