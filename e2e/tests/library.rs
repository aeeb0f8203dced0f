//! L: finding networks, running their plugins, and the records of attachments.
//!
//! The library is tested through the command, with plugins that write down how they are called.

mod command;
#[path = "library/garbage.rs"]
mod garbage;
#[path = "library/interchange.rs"]
mod interchange;
#[path = "library/loading.rs"]
mod loading;
#[path = "library/verbs.rs"]
mod verbs;

use command::Call;
use ropewalk_e2e::{Value, json};

const ID: &str = "cnitool-20b4ff582526573bbe7d";
const RECORD: &str = "/var/lib/cni/results/lan-cnitool-20b4ff582526573bbe7d-eth0";

fn names(result: &Value) -> Vec<&str> {
    let interfaces = result["interfaces"].as_array().expect("the result has interfaces");
    interfaces.iter().filter_map(|interface| interface["name"].as_str()).collect()
}

fn whats(calls: &[Call]) -> Vec<&str> {
    calls.iter().map(|call| call.what.as_str()).collect()
}

fn list(name: &str, kind: &str) -> String {
    json!({ "cniVersion": "1.0.0", "name": name, "plugins": [{ "type": kind }] }).to_string()
}
