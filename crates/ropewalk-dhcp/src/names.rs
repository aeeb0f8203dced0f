//! Domain names as DNS writes them, with pointers to what stands before (RFC 1035, section 4.1.4).

use alloc::{string::String, vec::Vec};

/// The longest name, in text.
const LONGEST_NAME: usize = 253;

/// Whether a name has nothing in it that means something to who reads it.
pub(crate) fn is_plain(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// The names in these bytes; reading ends at the first that is damaged.
pub(crate) fn read(bytes: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    let mut position = 0;
    while position < bytes.len() {
        let Some((name, behind)) = name_at(bytes, position) else { break };
        if !name.is_empty() {
            names.push(name);
        }
        position = behind;
    }
    names
}

/// The name at a position, and the position behind it. Pointers lead backwards only, so that no
/// chain of them is endless.
fn name_at(bytes: &[u8], start: usize) -> Option<(String, usize)> {
    let mut name = String::new();
    let mut position = start;
    let mut earliest = start;
    let mut behind = None;
    loop {
        let length = *bytes.get(position)?;
        match length {
            0 => return Some((name, behind.unwrap_or(position + 1))),
            1..64 => {
                let end = position + 1 + usize::from(length);
                let label = core::str::from_utf8(bytes.get(position + 1..end)?).ok()?;
                if !is_plain(label) || label.contains('.') {
                    return None;
                }
                if !name.is_empty() {
                    name.push('.');
                }
                name.push_str(label);
                if name.len() > LONGEST_NAME {
                    return None;
                }
                position = end;
            }
            192.. => {
                let low = *bytes.get(position + 1)?;
                let target = usize::from(length & 0x3f) << 8 | usize::from(low);
                behind.get_or_insert(position + 2);
                if target >= earliest {
                    return None;
                }
                (position, earliest) = (target, target);
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_share_their_ends() {
        // The example of RFC 3397.
        let bytes = b"\x03eng\x05apple\x03com\0\x09marketing\xc0\x04";
        assert_eq!(read(bytes), ["eng.apple.com", "marketing.apple.com"]);
    }

    #[test]
    fn pointers_that_lead_nowhere_or_in_circles_end_the_list() {
        for damaged in
            [&b"\xc0\x00"[..], b"\x01a\xc0\x00", b"\x01a\xc0\x09", b"\x01a\xc0", b"\x41a"]
        {
            assert_eq!(read(damaged), [""; 0], "{damaged:?}");
        }
        assert_eq!(read(b"\x01a\0\x01b\xc0\x03"), ["a"]);
        assert_eq!(read(b"\x03a b\0"), [""; 0]);
    }
}
