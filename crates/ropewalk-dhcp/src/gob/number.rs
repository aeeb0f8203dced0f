//! Numbers in gob: small ones are one byte, others say first how many bytes they have.

use alloc::vec::Vec;

use super::InvalidGob;

/// The least value of a byte that is a count and not a number.
const LARGEST_SMALL: u8 = 0x7f;

pub(super) fn write_uint(bytes: &mut Vec<u8>, number: u64) {
    match u8::try_from(number) {
        Ok(small) if small <= LARGEST_SMALL => bytes.push(small),
        _ => {
            let all = number.to_be_bytes();
            let zeros = usize::try_from(number.leading_zeros() / 8).unwrap_or(0);
            let significant = &all[zeros..];
            // The count is negated, so that it is never taken for a number.
            bytes.push((!u8::try_from(significant.len()).unwrap_or(8)).wrapping_add(1));
            bytes.extend_from_slice(significant);
        }
    }
}

/// The sign is the lowest bit.
pub(super) fn write_int(bytes: &mut Vec<u8>, number: i64) {
    let shifted = if number < 0 { !number << 1 | 1 } else { number << 1 };
    write_uint(bytes, shifted.cast_unsigned());
}

/// A number and its length; `None` if there is not enough.
pub(super) fn peek_uint(bytes: &[u8]) -> Result<Option<(u64, usize)>, InvalidGob> {
    let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
    if first <= LARGEST_SMALL {
        return Ok(Some((first.into(), 1)));
    }
    let count = usize::from((!first).wrapping_add(1));
    if count > 8 {
        return Err(InvalidGob("number of more than 64 bits"));
    }
    let Some(significant) = rest.get(..count) else { return Ok(None) };
    let number = significant.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    Ok(Some((number, count + 1)))
}
