//! A private host with a sandbox, and the law that every kind obeys.

use std::{path::Path, process::Command, thread};

use ropewalk_linux::{Linux, Netns, unshare_private_host};
use ropewalk_netstate::{
    Kernel, KernelError, Observed, Partial, Place, Probe, Resource, Step,
    resource::{Attribute, Bridge, LinkAttribute, Veth, VethPeer},
};

pub(crate) const SANDBOX: &str = "/run/netns/sandbox";
pub(crate) const HOST: Place = Place::Host;
pub(crate) const INSIDE: Place = Place::Sandbox;

/// A kernel of one's own: a private host, and a sandbox named `sandbox`.
pub(crate) struct Lab {
    pub(crate) linux: Linux,
}

/// Runs a test in a thread with namespaces of its own.
pub(crate) fn in_lab(test: impl FnOnce(&mut Lab) + Send) {
    thread::scope(|scope| {
        let run = || {
            unshare_private_host(&[Path::new("/run/netns")]).unwrap();
            let sandbox = Netns::create(SANDBOX).unwrap();
            let mut lab = Lab { linux: Linux::with_sandbox(sandbox) };
            lab.create(HOST, attribute("lo", Attribute::Up(true)));
            test(&mut lab);
        };
        if let Err(panic) = scope.spawn(run).join() {
            std::panic::resume_unwind(panic);
        }
    });
}

impl Lab {
    pub(crate) fn find(&mut self, place: Place, resource: &Resource) -> Option<Resource> {
        let observed = self.observe(place, resource);
        observed.find(place, &resource.key()).cloned()
    }

    fn observe(&mut self, place: Place, resource: &Resource) -> Observed {
        self.linux.observe(&[Probe { place, resource }]).unwrap()
    }

    pub(crate) fn create(&mut self, place: Place, resource: impl Into<Resource>) {
        self.apply(&[Step::Create(place, resource.into())]);
    }

    pub(crate) fn delete(&mut self, place: Place, resource: impl Into<Resource>) {
        self.apply(&[Step::Delete(place, resource.into())]);
    }

    pub(crate) fn apply(&mut self, steps: &[Step]) {
        if let Err(Partial { failed, error, .. }) = self.linux.apply(steps) {
            panic!("failed to {}: {error}", steps[failed]);
        }
    }

    /// What is created is found without a difference.
    #[track_caller]
    pub(crate) fn creates(&mut self, place: Place, resource: impl Into<Resource>) -> Resource {
        let wanted = resource.into();
        self.create(place, wanted.clone());
        self.has(place, &wanted)
    }

    /// What is wanted is found without a difference.
    #[track_caller]
    pub(crate) fn has(&mut self, place: Place, wanted: &Resource) -> Resource {
        let found = self.find(place, wanted).unwrap_or_else(|| panic!("{wanted} is missing"));
        let mismatches = wanted.compare(&found);
        assert!(mismatches.is_empty(), "{wanted}: {mismatches:?}");
        found
    }

    /// What is changed is found as it shall be.
    #[track_caller]
    pub(crate) fn changes(&mut self, place: Place, to: impl Into<Resource>) {
        let to = to.into();
        let from = self.find(place, &to).expect("nothing to change");
        assert!(!to.compare(&from).is_empty(), "{to} is there already");
        self.apply(&[Step::Change { place, from, to: to.clone() }]);
        self.has(place, &to);
    }

    /// What is deleted is not found, and deleting it again succeeds.
    #[track_caller]
    pub(crate) fn deletes(&mut self, place: Place, resource: impl Into<Resource>) {
        let resource = resource.into();
        self.delete(place, resource.clone());
        assert_eq!(self.find(place, &resource), None, "{resource} is still there");
        self.delete(place, resource);
    }

    /// The whole law of a kind.
    #[track_caller]
    pub(crate) fn obeys_the_law(&mut self, place: Place, resource: impl Into<Resource>) {
        let resource = resource.into();
        assert_eq!(self.find(place, &resource), None, "{resource} is there before it is made");
        let found = self.creates(place, resource.clone());
        self.deletes(place, found);
        self.delete(place, resource);
    }

    /// Creation fails, and nothing before it counts as done.
    #[track_caller]
    pub(crate) fn refuses(&mut self, place: Place, resource: impl Into<Resource>) -> KernelError {
        let step = Step::Create(place, resource.into());
        let Partial { done, failed, error } = self.linux.apply(&[step]).unwrap_err();
        assert_eq!((done, failed), (Vec::new(), 0));
        error
    }
}

pub(crate) fn attribute(link: &str, attribute: Attribute) -> LinkAttribute {
    LinkAttribute { link: link.parse().unwrap(), attribute }
}

pub(crate) fn bridge(name: &str) -> Bridge {
    let name = name.parse().unwrap();
    Bridge { name, mtu: None, vlan_filtering: false, promiscuous: false, mac: None, up: true }
}

/// A pair with its peer in the sandbox.
pub(crate) fn veth(name: &str, peer: &str) -> Veth {
    Veth {
        name: name.parse().unwrap(),
        mac: None,
        bridge: None,
        peer: Some(VethPeer { place: INSIDE, name: peer.parse().unwrap(), mac: None }),
        mtu: None,
        tag: None,
        up: true,
    }
}

/// What a program prints, run in the namespaces of the test.
pub(crate) fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a test that nftables is needed for, as [`in_lab`] does.
pub(crate) fn in_lab_with_nftables(test: impl FnOnce(&mut Lab) + Send) {
    in_lab(|lab| if lab.linux.nft_usable() { test(lab) } else { not_run_here("nftables") });
}

/// Says that a test cannot run on this kernel.
#[expect(clippy::print_stdout, reason = "the test runner keeps what tests print")]
pub(crate) fn not_run_here(why: &str) {
    println!("NOT RUN HERE (runs in the virtual machine tier): {why}");
}
