//! Commands for people to copy into a shell.
//!
//! Names come from containers, who choose them as they like: a command must never hold a word that
//! a shell, or the program that gets it, takes for anything but a word.

use alloc::{
    borrow::Cow,
    format,
    string::{String, ToString},
    vec::Vec,
};

use crate::{model::Host, terminal::is_shown};

/// A command of these words.
pub fn command(words: &[&str]) -> String {
    let words: Vec<Cow<'_, str>> = words.iter().map(|text| word(text)).collect();
    words.join(" ")
}

/// A word as it is written in a shell.
pub fn word(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._/:@%+=,-".contains(&byte);
    // Some shells look for a program behind this sign.
    let begins_well = text.bytes().next().is_some_and(|byte| byte != b'=');
    if begins_well && text.bytes().all(is_plain) {
        return text.into();
    }
    if text.chars().all(is_shown) {
        return format!("'{}'", text.replace('\'', r"'\''")).into();
    }
    // A shell that does not know these quotes must find their end in the same place: the only
    // quotes are those around it.
    let escaped = |byte: u8| match byte {
        b'\'' | b'\\' | 0..=0x1f | 0x7f.. => format!("\\{byte:03o}"),
        byte => char::from(byte).to_string(),
    };
    format!("$'{}'", text.bytes().map(escaped).collect::<String>()).into()
}

/// A command, as it is run from where the host was looked at to have effect in a namespace.
pub fn inside(host: &Host, namespace: usize, command: &str) -> String {
    let Some(one) = host.namespaces.get(namespace).filter(|one| !one.is_own) else {
        return command.into();
    };
    match (one.paths.first(), &one.owner) {
        (Some(path), _) => format!("nsenter {} {command}", format_args!("--net={}", word(path))),
        (None, Some(owner)) => format!("nsenter -t {} -n {command}", owner.pid),
        (None, None) => command.into(),
    }
}

/// The name of a sysctl whose file is known from `net` on. Names of links may have dots in them,
/// which only slashes keep apart from the rest.
pub fn sysctl(file: &str) -> String {
    if file.contains('.') { file.into() } else { file.replace('/', ".") }
}

/// Whether `nft` takes this for a name. It puts its words together and reads them anew, so that no
/// quotes of a shell make a name of others.
pub(crate) fn is_nft_name(text: &str) -> bool {
    let is_first = |byte: &u8| byte.is_ascii_alphabetic() || b"_.".contains(byte);
    text.as_bytes().first().is_some_and(is_first)
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_./-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString, vec::Vec};

    use super::*;
    use crate::{model::Content, samples::namespace};

    #[test]
    fn words_are_quoted_if_a_shell_would_not_leave_them_alone() {
        for plain in ["eth0", "br0.100", "10.1.0.0/16", "fd00::1", "a_b-c@d%e+f=g,h"] {
            assert_eq!(word(plain), plain);
        }
        for (text, quoted) in [
            ("", "''"),
            ("=ls", "'=ls'"),
            ("a;b", "'a;b'"),
            ("$(x)", "'$(x)'"),
            ("`x`", "'`x`'"),
            ("~", "'~'"),
            ("a b", "'a b'"),
            ("a'b", r"'a'\''b'"),
            ("ü", "'ü'"),
            ("a\u{1b}[31m'\\", r"$'a\033[31m\047\134'"),
            ("a\n\u{9b}", r"$'a\012\302\233'"),
        ] {
            assert_eq!(word(text), quoted, "{text:?}");
        }
        assert_eq!(command(&["ip", "link", "delete", "$(x)"]), "ip link delete '$(x)'");
    }

    #[test]
    fn paths_of_namespaces_are_quoted() {
        let namespaces = Vec::from([namespace(1, "/run/netns/a;b", Content::default())]);
        let host = Host { namespaces };
        assert_eq!(inside(&host, 0, "ip link"), "nsenter --net='/run/netns/a;b' ip link");
    }

    #[test]
    fn sysctls_of_links_with_dots_are_named_by_their_files() {
        let name = |link: &str| sysctl(&format!("net/ipv4/conf/{link}/forwarding"));
        assert_eq!(name("br0"), "net.ipv4.conf.br0.forwarding");
        assert_eq!(name("br0.100"), "net/ipv4/conf/br0.100/forwarding".to_string());
    }

    #[test]
    fn nft_reads_no_name_as_more_than_one() {
        assert!(["t", "_t", "my-table", "a.b/c", "KUBE-FORWARD"].into_iter().all(is_nft_name));
        let all = ["", "-f", "1a", "a b", "a;b", "a\"", "a{", "a#b", "$a", "@a", "a*", "ä"];
        assert!(!all.into_iter().any(is_nft_name));
    }
}
