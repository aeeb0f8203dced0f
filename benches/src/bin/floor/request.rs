//! What a runtime asks for: variables, and a configuration of which single values are looked up.
//!
//! It must never be taken for a JSON reader: a key is found wherever it first stands.

use std::{
    env,
    io::{self, Read},
    net::Ipv4Addr,
};

use crate::{Outcome, failed};

/// Configurations are shorter, as a rule.
const ROOM: usize = 8 << 10;

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Add,
    Check,
    Del,
    Version,
}

/// One call of a plugin.
pub(crate) struct Request {
    /// The name it was called by.
    pub(crate) plugin: String,
    pub(crate) verb: Verb,
    pub(crate) container: String,
    pub(crate) netns: String,
    pub(crate) ifname: String,
    config: String,
}

impl Request {
    /// Reads the environment, and standard input if the verb has one.
    pub(crate) fn read() -> Outcome<Self> {
        let variable = |name| env::var(name).unwrap_or_default();
        let plugin = env::args().next().unwrap_or_default();
        let plugin = plugin.rsplit('/').next().unwrap_or_default().to_owned();
        let verb = match variable("CNI_COMMAND").as_str() {
            "ADD" => Verb::Add,
            "CHECK" => Verb::Check,
            "DEL" => Verb::Del,
            "VERSION" => Verb::Version,
            other => return Err(format!("unknown verb {other:?}")),
        };
        // Room enough for one read.
        let mut config = String::with_capacity(ROOM);
        if verb != Verb::Version {
            io::stdin().read_to_string(&mut config).map_err(failed("standard input"))?;
        }
        Ok(Self {
            plugin,
            verb,
            container: variable("CNI_CONTAINERID"),
            netns: variable("CNI_NETNS"),
            ifname: variable("CNI_IFNAME"),
            config,
        })
    }

    /// The text of a key.
    pub(crate) fn text(&self, key: &str) -> Outcome<&str> {
        text_in(&self.config, key).ok_or_else(|| format!("{key} is missing"))
    }

    /// The number of a key.
    pub(crate) fn number(&self, key: &str) -> Outcome<u16> {
        let value = value_in(&self.config, key).unwrap_or_default();
        let digits = value.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        digits.parse().map_err(|_| format!("{key} is missing"))
    }

    /// Whether a key is `true`.
    pub(crate) fn flag(&self, key: &str) -> bool {
        value_in(&self.config, key).is_some_and(|value| value.starts_with("true"))
    }

    /// The result of the plugins before.
    pub(crate) fn previous(&self) -> Outcome<&str> {
        let value = value_in(&self.config, "prevResult").unwrap_or_default();
        let mut depth = 0;
        for (index, byte) in value.bytes().enumerate() {
            match byte {
                b'{' => depth += 1,
                b'}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Ok(&value[..=index]);
            }
        }
        Err("prevResult is missing".to_owned())
    }

    /// The address that the plugins before gave.
    pub(crate) fn previous_address(&self) -> Outcome<Ipv4Addr> {
        let ips = value_in(self.previous()?, "ips").unwrap_or_default();
        let address = text_in(ips, "address").unwrap_or_default();
        let address = address.split('/').next().unwrap_or_default();
        address.parse().map_err(|_| "prevResult has no address".to_owned())
    }

    /// The name of the host's end: the same for the same attachment.
    pub(crate) fn host_interface(&self) -> String {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in self.container.bytes().chain(self.ifname.bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        format!("fl{:010x}", hash & 0xff_ffff_ffff)
    }
}

/// What stands behind a key.
fn value_in<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    // The same word may be a value before it is a key.
    let word = format!("\"{key}\"");
    let behind = text.match_indices(&word).map(|(start, _)| &text[start + word.len()..]);
    behind.map(str::trim_start).find_map(|rest| rest.strip_prefix(':')).map(str::trim_start)
}

fn text_in<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    value_in(text, key)?.strip_prefix('"')?.split('"').next()
}
