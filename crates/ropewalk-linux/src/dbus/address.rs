//! Where the system bus listens.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

/// Where it listens unless the environment says otherwise; hosts of before `/run` have the second.
const DEFAULTS: [&str; 2] = ["/run/dbus/system_bus_socket", "/var/run/dbus/system_bus_socket"];

/// The sockets to try, in order, for a value of `DBUS_SYSTEM_BUS_ADDRESS`. None if it names no
/// socket with a path.
pub(super) fn sockets(variable: Option<&OsStr>) -> Vec<PathBuf> {
    match variable.filter(|value| !value.is_empty()) {
        Some(value) => value.to_str().unwrap_or_default().split(';').filter_map(socket).collect(),
        None => DEFAULTS.iter().map(PathBuf::from).collect(),
    }
}

/// The path in one address, as in `unix:path=/run/bus,guid=0123`.
fn socket(address: &str) -> Option<PathBuf> {
    let mut pairs = address.strip_prefix("unix:")?.split(',');
    let path = pairs.find_map(|pair| pair.strip_prefix("path="))?;
    let path = String::from_utf8(unescaped(path)?).ok()?;
    Path::new(&path).is_absolute().then(|| path.into())
}

/// Bytes that are written as `%2f`.
fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(variable: &str, expected: &[&str]) {
        let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
        assert_eq!(sockets(Some(OsStr::new(variable))), expected, "{variable:?}");
    }

    #[test]
    fn the_environment_names_the_socket() {
        check("unix:path=/run/bus", &["/run/bus"]);
        check("unix:guid=0123,path=/run/a%20bus%2fx,x=y", &["/run/a bus/x"]);
        check("tcp:host=x,port=1;unix:path=/a;unix:path=/b", &["/a", "/b"]);
    }

    #[test]
    fn without_a_word_from_the_environment_it_is_where_it_always_is() {
        check("", &DEFAULTS);
        assert_eq!(sockets(None), sockets(Some(OsStr::new(""))));
    }

    #[test]
    fn an_address_without_a_path_is_no_socket() {
        for address in ["unix:abstract=/x", "unix:path=", "unix:path=x", "unixpath=/x", "%", ";;"] {
            check(address, &[]);
        }
        check("unix:path=/x%", &[]);
        check("unix:path=/x%zz", &[]);
        check("unix:path=/x%ff", &[]);
        check("unix:path=/x%é", &[]);
    }
}
