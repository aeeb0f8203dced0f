//! The administrator's list of sysctls that may be set: one regular expression a line.

use std::{fs, io};

use regex_lite::Regex;
use ropewalk_cni::CniError;

const PATH: &str = "/etc/cni/tuning/allowlist.conf";

/// Every key must match a line, if there is a list.
pub(crate) fn check<'a>(keys: impl Iterator<Item = &'a String>) -> Result<(), CniError> {
    let text = match fs::read_to_string(PATH) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(CniError::internal(format!("open {PATH}: {error}"))),
    };
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    for key in keys {
        if !matches_one(&lines, key)? {
            return Err(CniError::internal(format!(
                "Sysctl {key} is not allowed. Only the following sysctls are allowed: {lines:?}"
            )));
        }
    }
    Ok(())
}

fn matches_one(lines: &[&str], key: &str) -> Result<bool, CniError> {
    for line in lines {
        let pattern = Regex::new(line).map_err(|error| {
            CniError::internal(format!("{PATH}: invalid regular expression {line:?}: {error}"))
        })?;
        if pattern.is_match(key) {
            return Ok(true);
        }
    }
    Ok(false)
}
