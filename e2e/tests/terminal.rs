//! Names that a terminal or a shell would obey, chosen by those who may choose names: whoever looks
//! at a host gets them as letters alone.

use ropewalk_e2e::{Lab, command_path};

/// A link with two sequences for terminals, one of them of a single letter beyond the first 128.
const LINK: &str = "$'\\033[2Ja\\302\\233;b'";

/// A host with a container whose link, and a table of whose host, are called so. The ends of the
/// pair have different MTUs.
fn host() -> Lab {
    let lab = Lab::new();
    lab.netns("c1");
    lab.sh(&format!(
        "bash -c \"ip link add {LINK} type veth peer name eth0 netns c1
         ip address add 10.1.0.1/24 dev {LINK}
         ip link set {LINK} up mtu 1400 alias $'one\\n  do        reboot \\033[31m'\"
         ip -n c1 address add 10.1.0.2/24 dev eth0
         ip -n c1 link set eth0 up
         ip -n c1 route add default via 10.1.0.1"
    ));
    lab
}

fn command(arguments: &str) -> String {
    let command = command_path();
    format!(
        "timeout -k 1 60 unshare --pid --fork --kill-child --mount-proc {} {arguments}",
        command.display()
    )
}

#[test]
fn names_reach_a_terminal_as_letters_alone() {
    let lab = host();
    let mut told = 0;
    for arguments in [
        "topology",
        "topology --dot",
        "topology --svg",
        "topology --json",
        "doctor",
        "doctor --json",
        "explain c1 10.1.0.1",
        "explain host 10.1.0.2 80",
        "explain host 10.1.0.2 --json",
        "stats",
        "stats --by owner --interval 1 --count 1",
        "stats --openmetrics",
        "stats --json",
    ] {
        // Some say by their code what they found.
        let outcome = lab.try_sh(&command(arguments));
        assert_ne!(outcome.stdout, "", "{outcome}");
        let obeyed = |letter: &char| letter.is_control() && *letter != '\n';
        for text in [&outcome.stdout, &outcome.stderr] {
            assert_eq!(text.chars().find(obeyed), None, "{arguments}: {text:?}");
        }
        assert!(
            !outcome
                .stdout
                .lines()
                .any(|line| line.starts_with("  do  ") && line.ends_with("reboot")),
            "{outcome}"
        );
        told += usize::from(outcome.stdout.contains(";b"));
    }
    assert!(told >= 8, "the link was told {told} times");
}

#[test]
fn names_reach_a_shell_as_words_alone() {
    let lab = host();
    let outcome = lab.try_sh(&command("doctor"));
    let word = r"$'\033[2Ja\302\233;b'";
    let expected = "nsenter --net=/run/netns/c1 ip link set eth0 mtu 1400\n";
    assert!(outcome.stdout.contains(expected), "{outcome}");
    lab.sh(&format!("bash -c \"ip link set {LINK} mtu 9000\""));
    let outcome = lab.try_sh(&command("doctor"));
    let expected = format!("  do        ip link set {word} mtu 1500\n");
    assert!(outcome.stdout.contains(&expected), "{outcome}");
    lab.write("/run/lab/do", expected.trim_start_matches("  do "));
    lab.sh("bash /run/lab/do");
    assert!(!lab.try_sh(&command("doctor")).stdout.contains("mtu-pair"));
}

#[test]
fn colours_are_those_of_the_command_or_none() {
    let lab = host();
    let explain = |arguments: &str| {
        let command = command(&format!("explain {arguments}"));
        lab.try_sh(&format!("TERM=xterm script -qec '{command}' /dev/null </dev/null")).stdout
    };
    let text = explain("c1 10.1.0.1");
    assert!(text.contains("?[2Ja?;b") && !text.contains('\u{1b}'), "{text:?}");
    lab.sh(&format!("bash -c \"ip link set {LINK} down; ip link set {LINK} name plain up\""));
    let text = explain("c1 10.1.0.1");
    assert!(text.contains("\u{1b}[1m") && text.contains("plain"), "{text:?}");
}
