//! What kind of program a file is: whether it needs a dynamic loader.

/// How a program is linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linkage {
    /// It has no program interpreter: the kernel starts it by itself.
    Static,
    /// It names a dynamic loader.
    Dynamic,
}

/// The program header that names a dynamic loader.
const PT_INTERP: u32 = 3;

/// Reads the program headers of a 64-bit little-endian ELF file.
pub fn linkage(file: &[u8]) -> Result<Linkage, String> {
    let cut = || "the file is cut off".to_owned();
    if !file.starts_with(b"\x7fELF\x02\x01") {
        return Err("not a 64-bit little-endian ELF file".to_owned());
    }
    let start = usize::try_from(number(file, 32, 8).ok_or_else(cut)?).map_err(|_| cut())?;
    let size = usize::try_from(number(file, 54, 2).ok_or_else(cut)?).map_err(|_| cut())?;
    let count = usize::try_from(number(file, 56, 2).ok_or_else(cut)?).map_err(|_| cut())?;
    if count == 0 {
        return Err("the file has no program headers".to_owned());
    }
    for index in 0..count {
        let offset = size.checked_mul(index).and_then(|o| o.checked_add(start)).ok_or_else(cut)?;
        if number(file, offset, 4).ok_or_else(cut)? == u64::from(PT_INTERP) {
            return Ok(Linkage::Dynamic);
        }
    }
    Ok(Linkage::Static)
}

fn number(file: &[u8], offset: usize, length: usize) -> Option<u64> {
    let bytes = file.get(offset..offset.checked_add(length)?)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with program headers of these types.
    fn file(types: &[u8]) -> Vec<u8> {
        let mut file = vec![0; 64 + 56 * types.len()];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[32] = 64;
        file[54] = 56;
        file[56] = u8::try_from(types.len()).unwrap();
        for (index, kind) in types.iter().enumerate() {
            file[64 + 56 * index] = *kind;
        }
        file
    }

    #[test]
    fn a_program_interpreter_makes_a_program_dynamic() {
        assert_eq!(linkage(&file(&[6, 1, 1])), Ok(Linkage::Static));
        assert_eq!(linkage(&file(&[6, 3, 1])), Ok(Linkage::Dynamic));
        assert_eq!(linkage(&file(&[1, 3])), Ok(Linkage::Dynamic));
    }

    #[test]
    fn what_is_no_program_is_an_error() {
        assert!(linkage(b"#!/bin/sh\n").is_err());
        assert!(linkage(&file(&[])).is_err());
        assert!(linkage(&file(&[1, 1])[..110]).is_err());
    }
}
