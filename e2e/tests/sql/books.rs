//! `sql` with a configuration, and what it answers.

use ropewalk_e2e::{Lab, Plugin, Value, json};

/// `sql` with this `ipam` object on network `net`; the database is what the object says, else this.
pub(crate) fn sql<'lab>(lab: &'lab Lab, database: &str, ipam: &Value) -> Plugin<'lab> {
    let ipam = kept_ipam(database, ipam);
    let config = json!({ "cniVersion": "1.1.0", "name": "net", "type": "bridge", "ipam": ipam });
    lab.plugin("sql").config(config)
}

/// An `ipam` object with the plugin's name and a database in it.
pub(crate) fn kept_ipam(database: &str, ipam: &Value) -> Value {
    let mut whole = json!({ "type": "sql", "database": database });
    for (key, value) in ipam.as_object().expect("an object") {
        whole[key] = value.clone();
    }
    whole
}

/// The addresses of a result, without their prefix lengths.
pub(crate) fn addresses(result: &Value) -> Vec<String> {
    let address = |ip: &Value| ip["address"].as_str().expect("an address").to_owned();
    let addresses = result["ips"].as_array().expect("addresses").iter().map(address);
    addresses.map(|text| text.split('/').next().unwrap_or_default().to_owned()).collect()
}
