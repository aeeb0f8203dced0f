//! The arguments of `iptables` and the rules it prints. Programs instead of messages, because
//! these chains belong to whoever runs `iptables` on the host.

use ropewalk_netstate::{
    Owner, Tag,
    resource::{IptablesChain, IptablesRule, iptables::Position},
};

/// Arguments that every call starts with: wait for the lock, and the table.
fn call(table: &str, rest: &[&str]) -> Vec<String> {
    let start = ["-w", "-t", table];
    start.iter().chain(rest).map(ToString::to_string).collect()
}

fn with_rule(rule: &IptablesRule, command: &[&str]) -> Vec<String> {
    let mut arguments = call(&rule.table, command);
    arguments.extend(rule.specification.iter().cloned());
    arguments
}

/// Checks whether a rule exists.
pub(crate) fn check(rule: &IptablesRule) -> Vec<String> {
    with_rule(rule, &["-C", &rule.chain])
}

/// Adds a rule at its position.
pub(crate) fn add(rule: &IptablesRule) -> Vec<String> {
    match rule.position {
        Position::First => with_rule(rule, &["-I", &rule.chain, "1"]),
        Position::Last => with_rule(rule, &["-A", &rule.chain]),
    }
}

/// Deletes a rule.
pub(crate) fn delete(rule: &IptablesRule) -> Vec<String> {
    with_rule(rule, &["-D", &rule.chain])
}

/// Creates a chain.
pub(crate) fn create_chain(chain: &IptablesChain) -> Vec<String> {
    call(&chain.table, &["-N", &chain.name])
}

/// Deletes all rules of a chain, and then the chain.
pub(crate) fn delete_chain(chain: &IptablesChain) -> [Vec<String>; 2] {
    ["-F", "-X"].map(|command| call(&chain.table, &[command, &chain.name]))
}

/// Prints a chain's policy and rules.
pub(crate) fn list(table: &str, chain: &str) -> Vec<String> {
    call(table, &["-S", chain])
}

/// Prints all chains and rules of a table.
pub(crate) fn list_all(table: &str) -> Vec<String> {
    call(table, &["-S"])
}

/// The names of the chains in the printed text of a table that somebody made.
pub(crate) fn user_chains(printed: &str) -> impl Iterator<Item = &str> {
    printed.lines().filter_map(|line| line.strip_prefix("-N ")).map(str::trim)
}

/// The calls that delete the rules in the printed text of a chain which go to another chain.
pub(crate) fn delete_references(table: &str, printed: &str, target: &str) -> Vec<Vec<String>> {
    let goes_there = |arguments: &Vec<String>| {
        arguments.windows(2).any(|pair| {
            matches!(pair[0].as_str(), "-j" | "-g" | "--jump" | "--goto") && pair[1] == target
        })
    };
    let rules = printed.lines().map(split).filter(|arguments| {
        arguments.first().is_some_and(|command| command == "-A") && goes_there(arguments)
    });
    let delete = |mut arguments: Vec<String>| {
        arguments[0] = "-D".into();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        call(table, &arguments)
    };
    rules.map(delete).collect()
}

/// The rules in the printed text of a chain that jump to another chain and whose comment names an
/// owner: the owner's mark and the chain.
pub(crate) fn commented_jumps(printed: &str) -> Vec<(Tag, String)> {
    let jump = |arguments: Vec<String>| {
        let after = |flag: &str| {
            let index = arguments.iter().position(|argument| argument == flag)?;
            arguments.get(index + 1).cloned()
        };
        // Targets of the program itself have no hyphen.
        let target = after("-j").filter(|target| target.contains('-'))?;
        Some((owner(&after("--comment")?)?, target))
    };
    printed.lines().map(split).filter_map(jump).collect()
}

/// The owner that a comment names: by our mark, or in the words of the reference plugins,
/// `name: "NETWORK" id: "CONTAINER"`.
fn owner(comment: &str) -> Option<Tag> {
    if let Some(tag) = Tag::parse(comment) {
        return Some(tag);
    }
    let rest = comment.trim_start_matches("dnat ").strip_prefix("name: \"")?;
    let (network, rest) = rest.split_once("\" id: \"")?;
    let container = rest.strip_suffix('"')?;
    let owner = Owner {
        network: network.into(),
        container: container.into(),
        interface: Owner::ANY_INTERFACE.into(),
    };
    Some(owner.tag())
}

/// Whether the printed text of a chain says that it drops what no rule accepts.
pub(crate) fn drops_by_default(printed: &str, chain: &str) -> bool {
    printed.lines().map(split).any(|arguments| arguments == ["-P", chain, "DROP"])
}

/// Splits a printed rule into arguments. Those with blanks stand in double quotes, in which a
/// backslash protects the next character (`xtables_save_string` in libxtables).
fn split(line: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut current: Option<String> = None;
    let mut is_quoted = false;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' if is_quoted => current.get_or_insert_default().extend(characters.next()),
            '"' => {
                is_quoted = !is_quoted;
                current.get_or_insert_default();
            }
            blank if blank.is_whitespace() && !is_quoted => arguments.extend(current.take()),
            other => current.get_or_insert_default().push(other),
        }
    }
    arguments.extend(current);
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_comments_are_one_argument() {
        let line = r#"-A POSTROUTING -m comment --comment "name: \"net\" id: \"c 1\"" -j CNI-1"#;
        let expected = [
            "-A",
            "POSTROUTING",
            "-m",
            "comment",
            "--comment",
            "name: \"net\" id: \"c 1\"",
            "-j",
            "CNI-1",
        ];
        assert_eq!(split(line), expected);
        assert_eq!(split("-A X --comment \"\" -j Y"), ["-A", "X", "--comment", "", "-j", "Y"]);
        assert_eq!(split("\"open \\"), ["open "]);
        assert!(split("  ").is_empty());
    }

    #[test]
    fn only_rules_that_go_to_the_chain_are_deleted() {
        let printed = "-P POSTROUTING ACCEPT\n\
            -A POSTROUTING -s 10.0.0.1/32 -j CNI-1\n\
            -A POSTROUTING -m comment --comment \"-j CNI-1\" -j CNI-2\n\
            -A POSTROUTING -g CNI-1\n";
        let expected = [
            "-w -t nat -D POSTROUTING -s 10.0.0.1/32 -j CNI-1",
            "-w -t nat -D POSTROUTING -g CNI-1",
        ];
        let calls = delete_references("nat", printed, "CNI-1");
        let calls: Vec<String> = calls.into_iter().map(|call| call.join(" ")).collect();
        assert_eq!(calls, expected);
    }

    #[test]
    fn jumps_tell_their_owners_by_mark_or_in_the_reference_plugins_words() {
        let owner = |interface: &str| Owner {
            network: "net".into(),
            container: "c1".into(),
            interface: interface.into(),
        };
        let mark = owner("eth0").tag();
        let printed = format!(
            "-P FORWARD DROP\n\
             -A FORWARD -m comment --comment \"{}\" -j ROPEWALK-1a\n\
             -A POSTROUTING -s 10.0.0.1/32 -m comment --comment \"name: \\\"net\\\" id: \\\"c1\\\"\" -j CNI-2b\n\
             -A CNI-2b -m comment --comment \"name: \\\"net\\\" id: \\\"c1\\\"\" -j ACCEPT\n\
             -A FORWARD -j CNI-FORWARD\n",
            mark.text()
        );
        let found = commented_jumps(&printed);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].0.same_owner(&mark) && found[0].1 == "ROPEWALK-1a");
        assert!(
            found[1].0.same_owner(&owner(Owner::ANY_INTERFACE).tag()) && found[1].1 == "CNI-2b"
        );
    }

    #[test]
    fn the_policy_is_the_chains_own() {
        assert!(drops_by_default("-P FORWARD DROP\n-A FORWARD -j X\n", "FORWARD"));
        assert!(!drops_by_default("-P FORWARD ACCEPT\n", "FORWARD"));
        assert!(!drops_by_default("-P INPUT DROP\n", "FORWARD"));
        assert!(!drops_by_default("", "FORWARD"));
    }
}
