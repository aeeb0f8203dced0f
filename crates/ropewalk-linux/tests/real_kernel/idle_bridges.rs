//! Bridges that go when nobody uses them.

use std::{sync::mpsc, time::Duration};

use ropewalk_linux::Linux;
use ropewalk_netstate::{
    Kernel as _, Resource, Step,
    resource::{Bridge, IdleBridge, Membership},
};

use crate::support::{HOST, Lab, bridge, in_lab, output_of, veth};

fn idle() -> IdleBridge {
    IdleBridge { bridge: "br0".parse().unwrap(), gateway: None }
}

fn has_bridge(lab: &mut Lab) -> bool {
    lab.find(HOST, &bridge("br0").into()).is_some()
}

#[test]
fn an_idle_bridge_of_ours_goes_and_absent_is_fine() {
    in_lab(|lab| {
        lab.delete(HOST, idle());
        lab.create(HOST, bridge("br0"));
        let shown = output_of("ip", &["-d", "link", "show", "br0"]);
        assert!(shown.contains(&format!("alias {}", Bridge::MARK)), "{shown}");
        lab.delete(HOST, idle());
        assert!(!has_bridge(lab));
    });
}

#[test]
fn a_bridge_in_use_stays_and_so_does_one_of_others() {
    in_lab(|lab| {
        lab.create(HOST, bridge("br0"));
        lab.create(HOST, veth("port", "eth0"));
        let (link, master) = ("port".parse().unwrap(), "br0".parse().unwrap());
        let membership: Resource = Membership { link, master }.into();
        lab.create(HOST, membership.clone());
        lab.delete(HOST, idle());
        assert!(has_bridge(lab));
        lab.delete(HOST, membership);
        output_of("ip", &["link", "set", "br0", "alias", "ours"]);
        lab.delete(HOST, idle());
        assert!(has_bridge(lab));
    });
}

#[test]
fn whoever_keeps_bridges_makes_those_wait_who_remove_them() {
    in_lab(|lab| {
        lab.create(HOST, bridge("br0"));
        // Many may keep them.
        let mut other = Linux::host_only();
        lab.linux.keep_idle_bridges();
        other.keep_idle_bridges();
        let (done, wait) = mpsc::channel();
        // A thread is in the namespaces of the one that starts it.
        let remover = std::thread::spawn(move || {
            let outcome = Linux::host_only().apply(&[Step::Delete(HOST, idle().into())]);
            done.send(outcome).unwrap();
        });
        assert!(wait.recv_timeout(Duration::from_millis(200)).is_err());
        assert!(has_bridge(lab));
        lab.linux.give_up_idle_bridges();
        assert!(wait.recv_timeout(Duration::from_millis(200)).is_err());
        drop(other);
        wait.recv_timeout(Duration::from_secs(10)).unwrap().unwrap();
        remover.join().unwrap();
        assert!(!has_bridge(lab));
    });
}
