//! Takes the kernel out of the file that boot loaders load.
//!
//! The emulator would boot that file too, but unpacking takes it seconds at every start.

use std::{fs, path::Path, process::Command, process::Stdio};

use super::image::{failed, write};

/// Where the boot protocol keeps what we need, and the mark that tells that it is spoken.
const SETUP_SECTORS: usize = 0x1f1;
const MARK: usize = 0x202;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;

const XZ: &[u8] = b"\xfd7zXZ\0";

/// Writes the kernel in a boot file as an ELF file; the boot file as it is, where the kernel in it
/// is packed in a way that we do not know.
pub(super) fn extract(boot: &Path, to: &Path) -> Result<(), String> {
    let file = fs::read(boot).map_err(|error| failed("read", boot, &error))?;
    match payload(&file) {
        Some(packed) if packed.starts_with(XZ) => write(to, &unpack(packed, to)?),
        _ => write(to, &file),
    }
}

/// The packed kernel in a boot file.
fn payload(file: &[u8]) -> Option<&[u8]> {
    if file.get(MARK..MARK + 4)? != b"HdrS" {
        return None;
    }
    let setup = (usize::from(*file.get(SETUP_SECTORS)?) + 1) * 512;
    let start = setup + number(file, PAYLOAD_OFFSET)?;
    file.get(start..start + number(file, PAYLOAD_LENGTH)?)
}

fn number(file: &[u8], at: usize) -> Option<usize> {
    let bytes = file.get(at..at + 4)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(bytes)).ok()
}

/// Behind the packed kernel stands its unpacked length, which is not xz's.
fn unpack(packed: &[u8], to: &Path) -> Result<Vec<u8>, String> {
    let whole = to.with_extension("xz");
    write(&whole, packed)?;
    let input = fs::File::open(&whole).map_err(|error| failed("open", &whole, &error))?;
    let mut xz = Command::new("xz");
    xz.args(["--decompress", "--stdout", "--single-stream"]).stdin(input).stdout(Stdio::piped());
    let output = xz.output().map_err(|error| format!("failed to run xz: {error}"))?;
    let _ = fs::remove_file(&whole);
    let is_elf = output.status.success() && output.stdout.starts_with(b"\x7fELF");
    is_elf.then_some(output.stdout).ok_or_else(|| "xz unpacked no kernel".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_is_found_by_the_boot_protocol() {
        let mut file = vec![0; 2000];
        file[SETUP_SECTORS] = 2;
        file[MARK..MARK + 4].copy_from_slice(b"HdrS");
        file[PAYLOAD_OFFSET] = 100;
        file[PAYLOAD_LENGTH] = 6;
        file[1636..1642].copy_from_slice(XZ);
        assert_eq!(payload(&file), Some(XZ));
        file[PAYLOAD_LENGTH + 2] = 1;
        assert_eq!(payload(&file), None, "the file ends before the payload");
        file[MARK] = 0;
        assert_eq!(payload(&file), None, "this is no boot file");
    }
}
