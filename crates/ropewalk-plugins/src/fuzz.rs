//! Configurations that nobody would write: every plugin reads each, and declares what should be.

use ropewalk_cni::{CniError, Environment, Request, parse_json, prev_result};
use ropewalk_netstate::Observed;
use ropewalk_testkit::fuzz;

use crate::{
    device::{Attachment, Given},
    ipam, lint,
    table::{Kind, PLUGINS},
};

/// Every error can be written.
fn told<T>(answer: Result<T, CniError>) -> Option<T> {
    answer.inspect_err(|error| assert!(parse_json(error.to_json().as_bytes()).is_ok())).ok()
}

fn environment(command: &str) -> Environment {
    Environment {
        command: command.to_owned(),
        container_id: "c1".to_owned(),
        netns: "/run/netns/c1".to_owned(),
        ifname: "eth0".to_owned(),
        path: "/nowhere".to_owned(),
        ..Environment::default()
    }
}

#[test]
fn fuzz_configurations() {
    fuzz("configuration", |bytes| {
        for plugin in PLUGINS {
            for (command, deleting) in [("ADD", false), ("DEL", true)] {
                let request = Request::parse(environment(command), bytes, plugin.versions);
                let Some(request) = told(request) else { continue };
                let Kind::Device(load) = plugin.kind else { continue };
                let Some(device) = told(load(&request)) else { continue };
                let attachment = told(Attachment::of(&request)).expect("it is a good one");
                let previous = told(prev_result(&request.raw)).flatten();
                let layer3 = device.ipam().and(previous.clone());
                let given = Given { layer3, previous, deleting, ..Given::default() };
                told(device.declare(&attachment, &given));
                told(
                    device.result(&attachment, &given, &Observed::new()).to_value(request.version),
                );
            }
            if let Ok(value) = parse_json(bytes) {
                lint::lint(plugin.name, &value);
            }
        }
        let request = Request::parse(environment("ADD"), bytes, ropewalk_cni::ALL);
        if let Some(request) = told(request) {
            // The one plugin that reaches nothing.
            let plugin = PLUGINS.iter().find(|plugin| plugin.name == "static");
            if let Some(Kind::Ipam(plugin)) = plugin.map(|plugin| &plugin.kind) {
                told(plugin.claim(&request));
            }
            told(ropewalk_cni::valid_attachments(&request.raw));
            let _ = ipam::needs_link(&request.network);
        }
    });
}
