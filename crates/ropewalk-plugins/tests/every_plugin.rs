//! The laws that every plugin keeps, on a fake kernel. A plugin that is added to the table without
//! a sample fails here.

#[path = "laws/samples.rs"]
mod samples;

use ropewalk_netstate::{
    Item, Kernel, Lifetime, Owner, Place, Resource,
    converge::{self, ConvergeError},
    resource::Key,
};
use ropewalk_testkit::{FakeKernel, FakeMemory, tampered};
use samples::{Case, Sample, samples};

fn add(kernel: &mut FakeKernel, memory: &mut FakeMemory, case: &Case) -> Result<(), ConvergeError> {
    converge::add(kernel, memory, &case.desired()).map(drop)
}

/// A kernel after a successful ADD of container 1, and what it remembers.
fn added(sample: &Sample) -> (FakeKernel, FakeMemory, Case) {
    let (mut kernel, mut memory, case) = (sample.kernel(), FakeMemory::default(), sample.case(1));
    add(&mut kernel, &mut memory, &case)
        .unwrap_or_else(|error| panic!("{}: ADD failed: {error}\n{kernel:?}", sample.name));
    (kernel, memory, case)
}

/// What is there beyond the start and shared things; the reference plugins' things are nobody's.
fn left_over(sample: &Sample, kernel: &FakeKernel, case: &Case) -> Vec<String> {
    let start = sample.kernel();
    let shared: Vec<(Place, Key)> = case
        .desired()
        .items()
        .iter()
        .filter(|item| item.lifetime == Lifetime::Shared)
        .map(|item| (item.place, item.resource.key()))
        .collect();
    let changed = kernel.state().iter().filter(|(key, resource)| {
        start.state().get(key) != Some(resource) && !shared.contains(key)
    });
    let missing = start.state().keys().filter(|key| !kernel.state().contains_key(key));
    let changed = changed.map(|((place, _), resource)| format!("left: {resource} {place}"));
    let missing = missing.map(|key| format!("lost: {key:?}"));
    changed.chain(missing).collect()
}

#[track_caller]
fn assert_nothing_left(sample: &Sample, kernel: &FakeKernel, case: &Case, after: &str) {
    let left = left_over(sample, kernel, case);
    // What lies on a link of others cannot be told from theirs and goes with the sandbox.
    let left: Vec<_> = left.into_iter().filter(|line| !line.contains("lost")).collect();
    assert!(left.is_empty(), "{}: {after} left something:\n{}", sample.name, left.join("\n"));
}

#[test]
fn add_then_check_finds_nothing() {
    for sample in samples() {
        let (mut kernel, _, case) = added(&sample);
        let findings = converge::check(&mut kernel, &case.desired()).unwrap();
        assert!(findings.is_empty(), "{}: {findings:#?}", sample.name);
    }
}

fn is_checked(item: &Item) -> bool {
    !matches!(item.lifetime, Lifetime::Predecessor | Lifetime::Initial)
        && !item.resource.is_action()
        && !matches!(item.resource, Resource::AddressGuard(_))
}

#[test]
fn check_notices_each_thing_removed() {
    for sample in samples() {
        let case = sample.case(1);
        for item in case.desired().items().iter().filter(|item| is_checked(item)) {
            let (mut kernel, ..) = added(&sample);
            kernel.take(item.place, &item.resource.key());
            let findings = converge::check(&mut kernel, &case.desired()).unwrap();
            let noticed = findings.iter().any(|finding| finding.item == *item);
            assert!(
                noticed || item.resource.is_optional(),
                "{}: {} missed",
                sample.name,
                item.resource
            );
        }
    }
}

#[test]
fn check_notices_each_field_changed() {
    for sample in samples() {
        let case = sample.case(1);
        for item in case.desired().items().iter().filter(|item| is_checked(item)) {
            for (field, other) in tampered(&item.resource) {
                let (mut kernel, ..) = added(&sample);
                kernel.put(item.place, other);
                let findings = converge::check(&mut kernel, &case.desired()).unwrap();
                let noticed = findings.iter().any(|finding| finding.item == *item);
                assert!(noticed, "{}: {field} of {} missed", sample.name, item.resource);
            }
        }
    }
}

#[test]
fn del_restores_everything_but_shared_things_and_twice_is_silent() {
    for sample in samples() {
        for blind in [false, true] {
            let (mut kernel, mut memory, case) = added(&sample);
            let desired = if blind { case.blind() } else { case.knowing() };
            for time in ["DEL", "second DEL"] {
                converge::del(&mut kernel, &mut memory, &desired)
                    .unwrap_or_else(|error| panic!("{}: {time}: {error}", sample.name));
                assert_restored(&sample, &kernel, &case, &format!("{time} (blind: {blind})"));
            }
            assert_eq!(memory, FakeMemory::default(), "{}: not forgotten", sample.name);
        }
    }
}

/// Rules of an address need to know the address; everything else is found without knowing.
#[track_caller]
fn assert_restored(sample: &Sample, kernel: &FakeKernel, case: &Case, after: &str) {
    let by_address = sample.plugin == "firewall" && after.contains("blind: true");
    let left: Vec<String> = left_over(sample, kernel, case)
        .into_iter()
        .filter(|line| !(by_address && tells_address_only(line)))
        .filter(|line| !(after.contains("blind: true") && lies_on_others(sample, line)))
        .filter(|line| !is_initial(case, line))
        .filter(|line| !(sample.has_link && lies_on_a_link(case, line)))
        .collect();
    assert!(left.is_empty(), "{}: {after}:\n{}\n{kernel:?}", sample.name, left.join("\n"));
}

fn tells_address_only(line: &str) -> bool {
    line.contains("rule in CNI-FORWARD") || line.contains("of firewalld's zone")
}

/// What a chained bridge does to the interface of a plugin before it goes with that interface.
fn lies_on_others(sample: &Sample, line: &str) -> bool {
    sample.plugin == "bridge" && sample.has_link && line.contains(" of veth0 ")
}

/// What is set once in a sandbox goes with it.
fn is_initial(case: &Case, line: &str) -> bool {
    let desired = case.desired();
    let mut initial = desired.items().iter().filter(|item| item.lifetime == Lifetime::Initial);
    initial.any(|item| line.contains(&item.resource.to_string()))
}

/// What lies on a link that others made goes with it, and so does what was taken away from it.
fn lies_on_a_link(case: &Case, line: &str) -> bool {
    let desired = case.desired();
    let own = desired.items().iter().filter(|item| item.lifetime == Lifetime::Dependent);
    let lost = |item: &Item| match &item.resource {
        Resource::RouteAbsence(absence) => {
            let key = Resource::from(absence.0.clone()).key();
            format!("lost: {:?}", (item.place, key)) == line
        }
        _ => false,
    };
    let mut own = own.filter(|item| item.resource.link().is_some());
    own.any(|item| lost(item) || line == format!("left: {} {}", item.resource, item.place))
}

#[test]
fn a_failure_at_any_step_leaves_only_shared_things() {
    for sample in samples() {
        for n in 0.. {
            let (mut kernel, mut memory, case) =
                (sample.kernel(), FakeMemory::default(), sample.case(1));
            kernel.fail_at(n);
            let outcome = add(&mut kernel, &mut memory, &case);
            if !kernel.has_failed() {
                assert!(outcome.is_ok(), "{}: {outcome:?}", sample.name);
                break;
            }
            let error = outcome.expect_err("a failing step fails the ADD");
            assert_nothing_left(&sample, &kernel, &case, &format!("failure at step {n} ({error})"));
            assert_eq!(memory, FakeMemory::default(), "{}: step {n} not forgotten", sample.name);
        }
    }
}

#[test]
fn what_is_undone_leaves_only_shared_things() {
    for sample in samples() {
        let (mut kernel, mut memory, case) =
            (sample.kernel(), FakeMemory::default(), sample.case(1));
        let done = converge::add(&mut kernel, &mut memory, &case.desired()).unwrap();
        converge::undo(&mut kernel, &mut memory, &done).unwrap();
        assert_nothing_left(&sample, &kernel, &case, "undone");
        assert_eq!(memory, FakeMemory::default(), "{}: not forgotten", sample.name);
    }
}

#[test]
fn what_del_must_find_does_not_depend_on_what_add_knew() {
    let owned = |desired: &ropewalk_netstate::Desired| -> Vec<(Place, Key)> {
        let own = desired.items().iter().filter(|item| {
            item.lifetime == Lifetime::Attachment
                && !item.resource.is_action()
                && item.resource.tells_owner()
        });
        own.map(|item| (item.place, item.resource.key())).collect()
    };
    for sample in samples() {
        let case = sample.case(1);
        let blind = owned(&case.blind());
        for key in owned(&case.desired()) {
            if sample.plugin == "bridge" && matches!(key.1, Key::Membership(_)) {
                // See `lies_on_others`.
                continue;
            }
            assert!(blind.contains(&key), "{}: a blind DEL misses {key:?}", sample.name);
        }
    }
}

#[test]
fn del_without_sandbox_and_without_result_leaks_nothing() {
    for sample in samples() {
        let (mut kernel, mut memory, case) = added(&sample);
        kernel.remove_sandbox();
        converge::del(&mut kernel, &mut memory, &case.blind())
            .unwrap_or_else(|error| panic!("{}: {error}", sample.name));
        let on_host: Vec<String> = left_over(&sample, &kernel, &case)
            .into_iter()
            .filter(|line| line.starts_with("left") && !tells_address_only(line))
            .filter(|line| !lies_on_others(&sample, line))
            .collect();
        assert!(on_host.is_empty(), "{}: {}", sample.name, on_host.join("\n"));
    }
}

#[test]
fn two_containers_leave_each_others_things_alone() {
    for sample in samples().iter().filter(|sample| !sample.has_link) {
        let (mut kernel, mut memory, first) = added(sample);
        // Another sandbox: what lies in the first one is out of sight.
        kernel.swap_sandboxes();
        let second = sample.case(2);
        add(&mut kernel, &mut FakeMemory::default(), &second)
            .unwrap_or_else(|error| panic!("{}: second ADD: {error}", sample.name));
        kernel.swap_sandboxes();
        converge::del(&mut kernel, &mut memory, &first.knowing()).unwrap();
        kernel.swap_sandboxes();
        let findings = converge::check(&mut kernel, &second.desired()).unwrap();
        assert!(findings.is_empty(), "{}: the second lost {findings:#?}", sample.name);
    }
}

#[test]
fn add_twice_changes_nothing_and_is_an_error_where_the_owner_can_be_told() {
    for sample in samples() {
        let (mut kernel, mut memory, case) = added(&sample);
        let before = kernel.state().clone();
        let outcome = add(&mut kernel, &mut memory, &case);
        assert_eq!(*kernel.state(), before, "{}", sample.name);
        let desired = case.desired();
        let owns = desired.items().iter().any(|item| {
            item.lifetime == Lifetime::Attachment
                && !item.resource.is_action()
                && item.resource.tells_owner()
        });
        assert_eq!(outcome.is_err(), owns, "{}: {outcome:?}", sample.name);
    }
}

#[test]
fn gc_with_an_empty_list_leaves_nothing_owned_and_with_the_owner_everything() {
    for sample in samples() {
        let (mut kernel, _, case) = added(&sample);
        let scopes = case.device.scopes();
        let network = Owner::network_hash("lan");
        let before = kernel.state().clone();
        let valid = [case.attachment.owner.hash()];
        converge::gc(&mut kernel, &scopes, &network, &valid).unwrap();
        assert_eq!(*kernel.state(), before, "{}: GC took something valid", sample.name);
        converge::gc(&mut kernel, &scopes, &Owner::network_hash("other"), &[]).unwrap();
        assert_eq!(*kernel.state(), before, "{}: GC took another network's", sample.name);
        converge::gc(&mut kernel, &scopes, &network, &[]).unwrap();
        for scope in &scopes {
            let owned = kernel.owned(scope).unwrap();
            let owned: Vec<_> =
                owned.iter().filter(|o| network.starts_with(o.tag.network())).collect();
            let own: Vec<_> =
                owned.iter().filter(|o| o.tag.attachment() != "0".repeat(16)).collect();
            assert!(own.is_empty(), "{}: GC left {own:?}", sample.name);
        }
    }
}

#[test]
fn two_adds_interleaved_at_any_step_both_succeed() {
    for sample in samples().iter().filter(|sample| !sample.has_link) {
        for n in 0..40 {
            let mut kernel = sample.kernel();
            let second = sample.case(2);
            let name = sample.name;
            kernel.interrupt_at(
                n,
                Box::new(move |kernel| {
                    kernel.swap_sandboxes();
                    let outcome = add(kernel, &mut FakeMemory::default(), &second);
                    assert!(outcome.is_ok(), "{name}: the ADD between: {outcome:?}");
                    kernel.swap_sandboxes();
                }),
            );
            let first = sample.case(1);
            let outcome = add(&mut kernel, &mut FakeMemory::default(), &first);
            assert!(outcome.is_ok(), "{name}: interrupted at step {n}: {outcome:?}");
            let findings = converge::check(&mut kernel, &first.desired()).unwrap();
            assert!(findings.is_empty(), "{name}: interrupted at step {n}: {findings:#?}");
        }
    }
}

#[test]
fn a_failing_add_takes_nothing_from_one_that_succeeded_in_between() {
    for sample in samples().iter().filter(|sample| !sample.has_link) {
        for n in 0..40 {
            let mut kernel = sample.kernel();
            let (second, name) = (sample.case(2), sample.name);
            kernel.interrupt_at(
                n,
                Box::new(move |kernel| {
                    kernel.swap_sandboxes();
                    let outcome = add(kernel, &mut FakeMemory::default(), &second);
                    assert!(outcome.is_ok(), "{name}: the ADD between: {outcome:?}");
                    kernel.swap_sandboxes();
                    kernel.fail_at(0);
                }),
            );
            if add(&mut kernel, &mut FakeMemory::default(), &sample.case(1)).is_ok() {
                continue;
            }
            kernel.swap_sandboxes();
            let desired = sample.case(2).desired();
            let findings = converge::check(&mut kernel, &desired).unwrap();
            assert!(findings.is_empty(), "{name}: failed at step {n}: {findings:#?}");
        }
    }
}
