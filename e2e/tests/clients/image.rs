//! A container image made on the spot from Debian's static busybox, and how to talk to it.

use ropewalk_e2e::{Lab, Outcome};

/// The name of the image.
pub(crate) const IMAGE: &str = "localhost/box:1";

/// Serves `/cgi-bin/who`, which tells the server's and the client's name; any number of clients.
pub(crate) const SERVER: &str = "httpd -f -p 80 -h /www";

/// What the image offers.
const APPLETS: &str = "cat echo env httpd ip ping sh sleep true wget";

/// Fails with the name of the Debian package when a program is missing.
#[track_caller]
pub(crate) fn require(programs: &[(&str, &str)]) {
    let directories = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"];
    for (program, package) in programs {
        let paths = directories.map(|directory| format!("{directory}/{program}"));
        assert!(
            paths.iter().any(|path| std::path::Path::new(path).exists()),
            "this test needs {program}: apt-get install --no-install-recommends {package}"
        );
    }
}

/// Writes the image as `docker save` does, which podman and containerd both read, and answers the
/// path of the file. Its command is the server.
pub(crate) fn archive(lab: &Lab) -> String {
    require(&[("busybox", "busybox-static")]);
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let command = serde_json::to_string(&SERVER.split(' ').collect::<Vec<_>>()).expect("text");
    lab.sh(&format!(
        r#"set -e
        mkdir -p /run/lab/image/root/bin /run/lab/image/root/www/cgi-bin
        cd /run/lab/image
        cp "$(command -v busybox)" root/bin/busybox
        for applet in {APPLETS}; do ln -s busybox root/bin/$applet; done
        printf '#!/bin/sh\necho\necho "$HOSTNAME $REMOTE_ADDR"\n' >root/www/cgi-bin/who
        chmod 755 root/www/cgi-bin/who
        tar -C root -cf layer.tar .
        sum=$(sha256sum layer.tar | cut -d' ' -f1)
        cat >config.json <<.
{{ "architecture": "{architecture}", "os": "linux",
  "config": {{ "Env": ["PATH=/bin"], "Cmd": {command} }},
  "rootfs": {{ "type": "layers", "diff_ids": ["sha256:$sum"] }} }}
.
        echo '[{{"Config":"config.json","RepoTags":["{IMAGE}"],"Layers":["layer.tar"]}}]' \
            >manifest.json
        tar -cf image.tar manifest.json config.json layer.tar
        rm -r root layer.tar"#
    ));
    "/run/lab/image/image.tar".to_owned()
}

/// Waits until the server in a network namespace listens; an engine only starts it.
#[track_caller]
pub(crate) fn listens(lab: &Lab, netns: &str) {
    let script = format!("nsenter --net={netns} cat /proc/net/tcp /proc/net/tcp6");
    lab.wait_until("the server listens", || {
        let sockets = lab.try_sh(&script).stdout;
        sockets.lines().any(|line| line.contains(":0050 ") && line.contains(" 0A "))
    });
}

/// The command that asks the server at `address:port` for names.
pub(crate) fn who(server: &str) -> String {
    format!("wget -Y off -q -O - http://{server}/cgi-bin/who")
}

/// What the server at `address:port` tells a client in a namespace (nothing: the host itself):
/// its own host name and the client's address.
#[track_caller]
pub(crate) fn ask(lab: &Lab, from: Option<&str>, server: &str) -> (String, String) {
    let outcome = try_ask(lab, from, server);
    assert_eq!(outcome.code, 0, "no answer: {outcome}");
    parse_who(&outcome.stdout)
}

/// As [`ask`], whatever comes of it.
pub(crate) fn try_ask(lab: &Lab, from: Option<&str>, server: &str) -> Outcome {
    let script = format!("timeout 5 busybox {}", who(server));
    match from {
        Some(netns) => lab.try_sh_in(netns, &script),
        None => lab.try_sh(&script),
    }
}

/// The server's answer as its host name and the client's address.
#[track_caller]
pub(crate) fn parse_who(answer: &str) -> (String, String) {
    let (name, client) = answer.trim().split_once(' ').unwrap_or_else(|| panic!("{answer:?}"));
    let client = client.trim_matches(['[', ']']);
    (name.to_owned(), client.strip_prefix("::ffff:").unwrap_or(client).to_owned())
}
