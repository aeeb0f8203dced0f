//! One attachment from ADD to DEL, in the ways that runtimes have.

use ropewalk_e2e::{Host, Plugin, Role, Sample};

use ropewalk_e2e::State;

/// Ends what was before the plugin in the list, and everything in the container.
#[track_caller]
fn end_of_the_rest(host: &Host) {
    let mut list = host.list(0);
    list.0.pop();
    list.del_without_result();
}

/// ADD, CHECK, and a DEL that is asked for twice.
pub(crate) fn comes_and_goes(name: &str) {
    let Some(host) = Sample::of(name).host() else { return };
    host.settle();
    let plugin = host.plugin(0);
    let before = State::of(&host);
    for with_result in [true, false] {
        let result = plugin.add().result();
        plugin.check(&result).silent();
        for _ in 0..2 {
            if with_result {
                plugin.del(&result).silent();
            } else {
                plugin.del_without_result().silent();
            }
            // The routes that it has moved go with their link, and are not there for a second ADD.
            if name != "sbr" {
                before.is_still_so(&host, "after DEL");
            }
        }
        if name == "sbr" {
            break;
        }
    }
    without_the_namespace(&host, &plugin);
}

/// DEL when the namespace is gone: with the result of ADD, with none, with no namespace named.
fn without_the_namespace(host: &Host, plugin: &Plugin<'_>) {
    let lab = &host.lab;
    end_of_the_rest(host);
    host.renew("c1");
    let before = State::of(host);
    let bare = host.list(0).0.pop().expect("a list has a plugin");
    for way in 0..3 {
        let previous = host.plugin(0);
        let result = previous.add().result();
        lab.sh("ip netns del c1");
        for _ in 0..2 {
            match way {
                0 => plugin.del(&result),
                1 => bare.del_without_result(),
                _ => bare.clone().without("CNI_NETNS").del_without_result(),
            }
            .silent();
        }
        end_of_the_rest(host);
        lab.netns("c1");
        host.renew("c1");
        before.is_still_so(host, &format!("after DEL without the namespace, way {way}"));
    }
}

/// A second ADD is an error, or answers what the first has answered; either way it changes
/// nothing.
pub(crate) fn second_add(name: &str) {
    let Some(host) = Sample::of(name).host() else { return };
    host.settle();
    let plugin = host.plugin(0);
    let result = plugin.add().result();
    let before = State::of(&host);
    let outcome = plugin.add();
    let answers_again = match host.sample.role {
        Role::Interface => name == "loopback",
        Role::Chained => name == "tuning",
        Role::Addresses => name != "host-local",
    };
    if answers_again {
        assert_eq!(outcome.result(), result);
    } else {
        outcome.failure();
    }
    before.is_still_so(&host, "after the second ADD");
    plugin.check(&result).silent();
    plugin.del(&result).silent();
}

/// Where there is nftables, a plugin starts no other program: addresses of host-local come from
/// this very one.
pub(crate) fn starts_nobody(name: &str) {
    let Some(host) = Sample::of(name).host() else { return };
    if host.lab.reference_fails("it starts its address plugin") || host.lab.lacks_nftables() {
        return;
    }
    let script = format!(
        "exec strace -f -qq -e trace=execve -A -o /run/lab/started {}/{name}",
        host.lab.plugin_directory()
    );
    host.lab.delegate(name, &script);
    let plugin = host.plugin(0).program(&format!("/run/lab/delegates/{name}"));
    let result = plugin.add().result();
    plugin.check(&result).silent();
    plugin.del(&result).silent();
    let started = host.lab.read("/run/lab/started");
    assert_eq!(started.matches("execve(").count(), 3, "one for each verb: {started}");
}
