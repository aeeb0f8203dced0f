//! GC: with lists of valid attachments, with none, and without a list.

use ropewalk_e2e::{Sample, Value, json};

use ropewalk_e2e::State;

/// What has lost its owner goes; what has one stays; without a list nothing is known to be lost.
pub(crate) fn collects(name: &str) {
    let Some(host) = Sample::of(name).host() else { return };
    if host.lab.reference_fails("1.1.1 has no GC") {
        return;
    }
    host.settle();
    let list = host.list(0).map(|plugin| plugin.key("cniVersion", &json!("1.1.0")));
    let collector = list.0.last().expect("a list has a plugin");
    let ifname = host.sample.ifname();
    let (before, clean) = (State::of(&host), host.lab.snapshot());
    let lists = [Value::Null, json!([{ "containerID": "c2", "ifname": ifname }])];
    for valid in lists {
        let result = list.add();
        let during = State::of(&host);
        collector.clone().command("GC").run().silent();
        collector.gc(&[("c1", ifname)]).silent();
        collector.clone().key("name", &json!("other")).gc(&[]).silent();
        during.is_still_so(&host, "after GC of others");
        host.check(&list, &result);
        for _ in 0..2 {
            for plugin in list.0.iter().rev() {
                plugin
                    .clone()
                    .command("GC")
                    .key("cni.dev/valid-attachments", &valid)
                    .run()
                    .silent();
            }
        }
        // A device that is in a container cannot be found from the host.
        if name != "host-device" {
            host.lab.nothing_left(&clean);
        }
        // Only the result tells whose rules in the container have lost their link.
        list.del(&result);
        before.is_still_so(&host, &format!("after GC with {valid} and DEL"));
    }
}
