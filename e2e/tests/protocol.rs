//! P: what every plugin shares: environment, standard input, versions, errors.

use ropewalk_e2e::{Lab, json};

#[test]
fn p_11_container_id_with_a_leading_dash_is_refused() {
    let lab = Lab::new();
    lab.netns("c1");
    let bridge = lab.plugin("bridge").on("c1").config(json!({
        "cniVersion": "1.0.0", "name": "net", "type": "bridge",
    }));
    let error = bridge.container("-abc").add().error();
    assert_eq!(error.code, 4);
    assert_eq!(error.msg, "invalid characters in containerID");
    assert_eq!(error.details, "-abc");
}
