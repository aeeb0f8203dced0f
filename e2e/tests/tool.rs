//! T: the `ropewalk` command, which takes cnitool's place.

mod command;

use command::{Host, fails};
use ropewalk_e2e::{Value, command_path, json};

const ADD: [&str; 3] = ["add", "lan", "/run/netns/c1"];

fn host() -> Host {
    let host = Host::new();
    host.network("1.0.0", &["a"]);
    host
}

#[track_caller]
fn has_variable(host: &Host, variable: &str) {
    let call = host.calls().remove(0);
    assert!(call.variables.iter().any(|found| found == variable), "{variable} in {call:?}");
}

#[test]
fn t_108_the_container_id_is_made_from_the_path_of_the_namespace() {
    let host = host();
    let id = host.lab.sh("printf /run/netns/c1 | sha512sum | cut -c1-20");
    host.run("add").result();
    has_variable(&host, &format!("CNI_CONTAINERID=cnitool-{id}"));
    host.run("del").silent();
    // However the path is written, it is the same container; `--wd` is the root.
    for path in ["run/netns/c1", "/run/./netns//c1", "/run/netns/../netns/c1"] {
        host.calls();
        host.tool().run(&["del", "lan", path]).silent();
        has_variable(&host, &format!("CNI_CONTAINERID=cnitool-{id}"));
    }
    host.calls();
    let named = ["add", "lan", "/run/netns/c1", "--container-id", "mine"];
    host.tool().run(&named).result();
    has_variable(&host, "CNI_CONTAINERID=mine");
}

#[test]
fn t_109_the_interface_and_the_folder_come_from_the_environment() {
    let host = host();
    host.run("add").result();
    has_variable(&host, "CNI_IFNAME=eth0");
    host.tool().variable("CNI_IFNAME", "net1").run(&ADD).result();
    has_variable(&host, "CNI_IFNAME=net1");
    let flag = host.tool().variable("CNI_IFNAME", "net1");
    flag.run(&["add", "-i", "net2", "lan", "/run/netns/c1"]).result();
    has_variable(&host, "CNI_IFNAME=net2");
    host.lab.sh("mkdir /run/lab/conf && mv /etc/cni/net.d/* /run/lab/conf");
    host.tool().variable("NETCONFPATH", "/run/lab/conf").run(&ADD).result();
    let flags = ["add", "lan", "/run/netns/c1", "--config-dir", "/run/lab/conf", "-i", "net3"];
    host.tool().variable("NETCONFPATH", "/nowhere").run(&flags).result();
}

#[test]
fn t_109_plugin_folders_come_from_the_environment_or_a_flag() {
    let host = host();
    let flags = ["add", "lan", "/run/netns/c1", "--plugin-dir", "/nowhere:/run/lab/delegates"];
    host.tool().variable("CNI_PATH", "").run(&flags).result();
    has_variable(&host, "CNI_PATH=/nowhere:/run/lab/delegates");
}

#[test]
fn t_110_malformed_arguments_are_refused() {
    let host = host();
    for text in ["a", "a=", "=a", "a=b=c", "a=b;"] {
        let outcome = host.tool().variable("CNI_ARGS", text).run(&ADD);
        let piece = text.strip_prefix("a=b;").unwrap_or(text);
        fails(&outcome, 1, &format!("invalid CNI_ARGS pair \"{piece}\""));
    }
    host.tool().variable("CNI_ARGS", "a=1;b=2").run(&ADD).result();
    has_variable(&host, "CNI_ARGS=a=1;b=2");
}

#[test]
fn t_111_malformed_capability_arguments_are_refused() {
    let host = host();
    for text in ["{", "x", "[]", "5"] {
        let outcome = host.tool().variable("CAP_ARGS", text).run(&ADD);
        fails(&outcome, 1, "failed to understand CAP_ARGS: ");
    }
    assert_eq!(host.verbs(), Vec::<String>::new());
}

/// cnitool exits with 1 here; our exit code says that nothing was found.
#[test]
fn t_112_an_unknown_network_is_told_on_standard_error() {
    let host = host();
    for verb in ["add", "check", "del", "gc", "status"] {
        let outcome = host.tool().run(&[verb, "nope", "/run/netns/c1"]);
        fails(&outcome, 4, r#"no net configuration with name "nope" in /etc/cni/net.d"#);
    }
}

#[test]
fn t_113_add_prints_the_result_and_the_others_nothing() {
    let host = Host::new();
    host.network("1.1.0", &["a"]);
    let outcome = host.run("add");
    let expected = r#"{
    "cniVersion": "1.1.0",
    "interfaces": [
        {
            "name": "a"
        }
    ]
}"#;
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), (expected, ""));
    for verb in ["check", "status", "gc", "del"] {
        let outcome = host.run(verb);
        outcome.silent();
        assert_eq!(outcome.stderr, "");
    }
}

#[test]
fn scripts_can_have_every_answer_as_json() {
    let host = Host::new();
    host.network("1.1.0", &["a"]);
    let run = |arguments: &[&str]| host.tool().run(&[&["--json"], arguments].concat());
    run(&["add", "lan", "/run/netns/c1", "--container-id", "c1"]).result();
    let attachment = ["lan", "--container-id", "c1"];
    let answer = |verb: &str| run(&[&[verb], &attachment[..]].concat()).result();
    assert_eq!(answer("check")["checked"], true);
    assert_eq!(run(&["status", "lan"]).result(), json!({ "network": "lan", "ready": true }));
    let deleted = json!([{ "containerID": "c1", "ifname": "eth0" }]);
    assert_eq!(run(&["gc", "lan"]).result()["deleted"], deleted);
    assert_eq!(answer("del")["deleted"], true);
    host.fail(&["ADD a"]);
    let outcome = run(&ADD);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""));
    let error: Value = outcome.stderr.parse().expect("the complaint is JSON");
    assert_eq!(error["error"]["plugins"][0]["code"], 111);
    assert_eq!(error["error"]["plugins"][0]["type"], "a");
}

#[test]
fn usage_mistakes_have_their_own_exit_code() {
    let host = host();
    for arguments in [&[][..], &["add"], &["add", "lan"], &["add", "lan", "x", "--nope"], &["fly"]]
    {
        let outcome = host.tool().run(arguments);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{outcome}");
        assert_ne!(outcome.stderr, "");
    }
    assert_eq!(host.tool().run(&["--help"]).code, 0);
}

#[test]
fn only_root_may_attach() {
    let host = host();
    let command = "exec setpriv --reuid=65534 --regid=65534 --clear-groups \"$@\"";
    let binary = command_path();
    let program = binary.to_str().expect("the path is text");
    // The build may be in a folder that only root can enter.
    host.lab.sh(&format!("cp {program} /run/lab/ropewalk && chmod -R a+rwX /run/lab"));
    let arguments = [&["-c", command, "sh", "/run/lab/ropewalk"], &ADD[..]].concat();
    let outcome = host.tool().run_as("/bin/sh".as_ref(), &arguments);
    fails(&outcome, 3, "permission denied");
    fails(&outcome, 3, "hint: run this command as root");
}

#[test]
fn del_and_check_use_what_is_on_record() {
    let host = host();
    let plugins = json!([{ "type": "a", "capabilities": { "mac": true } }]);
    let list = json!({ "cniVersion": "1.0.0", "name": "lan", "plugins": plugins });
    host.configure("10-lan.conflist", &list.to_string());
    let tool = host.tool().variable("CNI_ARGS", "K=V").variable("CAP_ARGS", r#"{"mac": "x"}"#);
    tool.run(&["add", "lan", "/run/netns/c1", "--container-id", "c1"]).result();
    host.calls();
    for verb in ["check", "del"] {
        host.tool().run(&[verb, "lan", "--container-id", "c1"]).silent();
        let call = host.calls().remove(0);
        assert!(call.text.contains(r#""runtimeConfig":{"mac":"x"}"#), "{call:?}");
        for variable in ["CNI_ARGS=K=V", "CNI_NETNS=/run/netns/c1"] {
            assert!(call.variables.iter().any(|found| found == variable), "{call:?}");
        }
    }
    assert_eq!(host.records(), Vec::<String>::new());
    let other = host.tool().variable("CAP_ARGS", r#"{"mac": "y"}"#);
    other.run(&["del", "lan", "--container-id", "c1"]).silent();
    assert_eq!(host.calls()[0].stdin["runtimeConfig"], json!({ "mac": "y" }));
}

#[test]
fn a_namespace_that_was_meant_is_suggested() {
    let host = host();
    host.fail(&["ADD a"]);
    let outcome = host.tool().run(&["add", "lan", "c1"]);
    fails(&outcome, 1, "hint: c1 is no file; did you mean /run/netns/c1?");
}

#[test]
fn what_a_failing_plugin_wrote_to_standard_error_is_shown() {
    let host = host();
    host.lab.delegate("a", "echo 'cannot find the moon' >&2; echo '{\"msg\":\"no\"}'; exit 1");
    fails(&host.run("add"), 1, "\na wrote: cannot find the moon\n");
}

#[test]
fn show_tells_networks_attachments_and_leases() {
    let host = host();
    host.configure("00-broken.conflist", r#"{"name": "dmz"}"#);
    host.configure("20.conf", r#"{"cniVersion": "0.4.0", "name": "lan", "type": "b"}"#);
    let with_id = [&ADD[..], &["--container-id", "c1"]].concat();
    host.tool().run(&with_id).result();
    host.lab.write("/var/lib/cni/networks/lan/10.0.0.10", "c1\r\neth0");
    host.lab.write("/var/lib/cni/networks/lan/10.0.0.9", "gone\r\neth0");
    host.lab.write("/var/lib/cni/networks/lan/last_reserved_ip.0", "10.0.0.10");
    let outcome = host.tool().run(&["show"]);
    let expected = "\
NETWORK  VERSION  PLUGINS  FILE                               STATE
lan      1.0.0    a        /etc/cni/net.d/10-lan.conflist     ready
lan      0.4.0    b        /etc/cni/net.d/20.conf             hidden by an earlier file of the same name
dmz      -        -        /etc/cni/net.d/00-broken.conflist  broken: no plugin configs found

NETWORK  CONTAINER  INTERFACE  ADDRESSES  NETNS
lan      c1         eth0       -          /run/netns/c1

NETWORK  ADDRESS    CONTAINER  INTERFACE  RECORD
lan      10.0.0.9   gone       eth0       no
lan      10.0.0.10  c1         eth0       yes
";
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), (expected, ""));
    host.lab.sh("ip netns del c1");
    let attachments = host.tool().run(&["show", "attachments", "--json"]).result();
    let expected = json!({ "attachments": [{
        "network": "lan", "containerID": "c1", "ifname": "eth0", "addresses": [],
        "netns": "/run/netns/c1", "netnsExists": false,
    }]});
    assert_eq!(attachments, expected);
    let leases = host.tool().run(&["show", "leases", "--json"]).result();
    assert_eq!(leases["leases"][0]["recorded"], false);
}

#[test]
fn show_says_when_there_is_nothing() {
    let host = Host::new();
    let outcome = host.tool().run(&["show"]);
    assert_eq!(outcome.stdout, "no networks\n\nno attachments\n\nno leases\n");
    let empty = json!({ "networks": [], "attachments": [], "leases": [] });
    assert_eq!(host.tool().run(&["--json", "show"]).result(), empty);
}

#[test]
fn install_makes_plugins_out_of_one_binary() {
    let host = Host::new();
    host.lab.write("/run/lab/bin/flannel", "somebody else's");
    host.lab.write("/run/lab/bin/bridge", "an old one");
    let command = command_path();
    let binary = command.to_str().expect("the path is text");
    let install = ["install", "/run/lab/bin", "--from", binary];
    let dry = host.tool().run(&[&install[..], &["--dry-run"]].concat());
    assert_eq!(dry.code, 0, "{dry}");
    assert!(dry.stdout.contains("would replace /run/lab/bin/bridge\n"), "{dry}");
    assert!(dry.stdout.contains("would create /run/lab/bin/host-local\n"), "{dry}");
    assert_eq!(host.lab.list("/run/lab/bin"), ["bridge", "flannel"]);
    let done = host.tool().run(&install);
    assert!(done.stdout.contains("replaced /run/lab/bin/bridge\n"), "{done}");
    assert_eq!(host.lab.read("/run/lab/bin/flannel"), "somebody else's");
    // Whichever way the file got there, under its name it is that plugin.
    let version = host.tool().variable("CNI_COMMAND", "VERSION");
    let answer = version.run_as("/run/lab/bin/bridge".as_ref(), &[]).result();
    assert_eq!(answer["cniVersion"], "1.1.0");
}

#[test]
fn lint_tells_errors_with_their_places() {
    let host = Host::new();
    let bridge = json!({ "type": "bridge", "bridg": "x", "isGateway": "yes" });
    let list = json!({ "cniVersion": "1.0.0", "name": "lan", "plugins": [bridge] });
    host.configure("10.conflist", &list.to_string());
    let outcome = host.tool().run(&["lint", "/etc/cni/net.d/10.conflist"]);
    assert_eq!(outcome.code, 1, "{outcome}");
    assert!(outcome.stdout.contains("error at plugins[0].isGateway: "), "{outcome}");
    assert!(
        outcome.stdout.contains("bridg: bridge does not know this key; did you mean bridge?"),
        "{outcome}"
    );
    let arguments = ["lint", "/etc/cni/net.d/10.conflist", "--json"];
    let answer = host.tool().run(&arguments);
    let document: Value = answer.stdout.parse().expect("the answer is JSON");
    assert_eq!(document["files"][0]["file"], "/etc/cni/net.d/10.conflist");
}

#[test]
fn completions_and_manual_pages_are_built_in() {
    let host = Host::new();
    for shell in ["bash", "zsh", "fish"] {
        let outcome = host.tool().run(&["completions", shell]);
        assert!(outcome.code == 0 && outcome.stdout.contains("ropewalk"), "{outcome}");
    }
    let page = host.tool().run(&["man"]);
    assert!(page.stdout.contains(".SH \"EXIT STATUS\""), "{page}");
    assert_eq!(host.tool().run(&["man", "add"]).code, 0);
}
