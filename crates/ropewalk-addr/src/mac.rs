//! A 48-bit hardware address.

use core::{fmt, str::FromStr};

/// A 48-bit MAC address, written `02:00:0a:01:02:03`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mac(pub [u8; 6]);

/// A text is not a MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidMac;

impl fmt::Display for InvalidMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid MAC address")
    }
}

impl core::error::Error for InvalidMac {}

impl FromStr for Mac {
    type Err = InvalidMac;

    /// Accepts six pairs of hexadecimal digits joined by `:` or by `-`.
    fn from_str(text: &str) -> Result<Self, InvalidMac> {
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut bytes = [0; 6];
        let mut parts = text.split(separator);
        for byte in &mut bytes {
            let part = parts.next().ok_or(InvalidMac)?;
            if part.len() != 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(InvalidMac);
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| InvalidMac)?;
        }
        if parts.next().is_some() { Err(InvalidMac) } else { Ok(Self(bytes)) }
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            write!(f, "{}{byte:02x}", if index > 0 { ":" } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_mac_survives_the_way_through_text() {
        let mac: Mac = "02:AB:00:ff:10:09".parse().unwrap();
        assert_eq!(mac.to_string(), "02:ab:00:ff:10:09");
        assert_eq!("02-ab-00-ff-10-09".parse::<Mac>(), Ok(mac));
    }

    #[test]
    fn what_is_not_six_pairs_is_refused() {
        for text in
            ["", "zz", "02:00:00:00:00", "02:00:00:00:00:00:00", "2:0:0:0:0:0", "+2:00:00:00:00:00"]
        {
            assert_eq!(text.parse::<Mac>(), Err(InvalidMac), "{text:?}");
        }
    }
}
