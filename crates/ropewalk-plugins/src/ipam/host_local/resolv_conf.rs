//! DNS settings from a file in the format of resolv.conf(5).

use std::{fs, path::Path};

use ropewalk_cni::{CniError, Dns};

/// Reads the file.
pub(crate) fn read(path: &Path) -> Result<Dns, CniError> {
    let text = fs::read_to_string(path).map_err(|error| {
        let reason =
            error.to_string().split(" (os error").next().unwrap_or_default().to_lowercase();
        CniError::internal(format!("open {}: {reason}", path.display()))
    })?;
    Ok(parse(&text))
}

fn parse(text: &str) -> Dns {
    let mut dns = Dns::default();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        let mut words = line.split_whitespace();
        let keyword = words.next().unwrap_or_default();
        let mut values = words.map(str::to_owned);
        match keyword {
            "nameserver" => dns.nameservers.extend(values.next()),
            "domain" => dns.domain = values.next().unwrap_or(dns.domain),
            "search" => dns.search.extend(values),
            "options" => dns.options.extend(values),
            _ => {}
        }
    }
    dns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_keywords_are_read_and_the_last_domain_wins() {
        let dns = parse(
            "# c\n; c\nnameserver 10.0.0.53\nnameserver fd00::53\ndomain a\ndomain b\nsearch x y\noptions ndots:2 edns0\n",
        );
        assert_eq!(dns.nameservers, ["10.0.0.53", "fd00::53"]);
        assert_eq!(dns.domain, "b");
        assert_eq!(dns.search, ["x", "y"]);
        assert_eq!(dns.options, ["ndots:2", "edns0"]);
    }
}
