//! What may come over the wire.

use ropewalk_testkit::fuzz;
use ropewalk_topology::lldp;

#[test]
fn fuzz_lldp() {
    fuzz("lldp", |bytes| {
        if let Some(switch) = lldp::read(bytes) {
            assert!(!switch.chassis.is_empty() && !switch.port.is_empty());
            let text = format!("{switch} {:?} {:?}", switch.port_description, switch.description);
            assert!(!text.contains(char::is_control), "nothing for terminals to obey: {text:?}");
        }
    });
}
