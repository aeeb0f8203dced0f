//! `ropewalk topology` on a host with networks of podman, containerd, Docker and hand at once.

#[expect(dead_code, reason = "the tests of the engines use more of them")]
mod clients {
    pub(crate) mod containerd;
    pub(crate) mod docker;
    pub(crate) mod image;
    pub(crate) mod podman;
    pub(crate) mod reaper;
}
mod topology {
    pub(crate) mod compare;
    pub(crate) mod legacy;
    pub(crate) mod ours;
    pub(crate) mod theirs;
}

use clients::{containerd::Containerd, docker::Docker, image::IMAGE, podman::Podman};
use ropewalk_e2e::{Lab, json};
use topology::compare::{command, namespace, same};

const SLEEP: &str = "sleep 1000";

#[test]
fn networks_of_all_engines_at_once_are_what_the_other_programs_say() {
    let lab = Lab::new();
    if lab.lacks_nftables() {
        return;
    }
    let list = json!({ "cniVersion": "1.0.0", "name": "net", "plugins": [{
        "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true,
        "ipam": { "type": "host-local", "ranges": [[{ "subnet": "10.66.0.0/16" }]] },
    }] });
    let podman = Podman::new(&lab, lab.plugin_directory());
    let containerd = Containerd::new(&lab, &list, None);
    let docker = Docker::new(&lab);
    docker.run("network create --subnet 10.30.0.0/24 front");
    docker.run(&format!("run -d --name shop --network front -p 8081:80 {IMAGE}"));
    docker.run(&format!("run -d --name lone {IMAGE}"));
    let ((shops, shop_path), (lones, lone_path)) = (docker.netns("shop"), docker.netns("lone"));
    lab.sh("ip netns add hand && ip link add byhand type veth peer name eth0 netns hand");
    podman.start("web", "-p 8080:80", SLEEP);
    let mut ctr = containerd.start_ctr(&format!("run --rm --cni {IMAGE} box {SLEEP}"));
    let pid = || {
        let tasks = containerd.ctr("tasks ls");
        let words = tasks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let mut running = words.filter(|line| line[0] == "box" && line[2] == "RUNNING");
        running.next().map(|line| line[1].to_owned())
    };
    lab.wait_until("the container runs", || pid().is_some());
    let pid = pid().expect("it runs");
    let podmans = podman.netns("web");
    let names = format!("{podmans} {pid} hand {shops} {lones}");
    for path in [
        "/proc/self/ns/net",
        &Lab::netns_path(&podmans),
        &format!("/proc/{pid}/ns/net"),
        "/run/netns/hand",
        &shop_path,
        &lone_path,
    ] {
        same(&lab, path, &names);
    }

    let web = namespace(&lab, &Lab::netns_path(&podmans), &names);
    assert_eq!(web["container"]["runtime"], "podman", "{}", web["container"]);
    assert_eq!(web["attachments"][0]["network"], "podman", "{}", web["attachments"]);
    assert_eq!(web["name"], "web");
    let tree = command(&lab, "", &names);
    for line in [
        "⇄ eth0 in web (podman ",
        "⇄ eth0 in hand",
        "⇄ eth0 in shop (docker ",
        "⇄ eth0 in lone (docker ",
        "├─ docker0",
        "network podman",
        "├─ cni0",
    ] {
        assert!(tree.contains(line), "{line}: {tree}");
    }
    containerd.ctr("tasks kill -s KILL box");
    lab.wait_until("ctr ends", || ctr.try_wait().expect("a child can be waited for").is_some());
    podman.run("rm -f web");
    docker.run("rm -f shop lone");
}
