//! Folders with configurations.

use super::*;

struct Folder {
    directory: tempfile::TempDir,
}

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self { directory: tempfile::tempdir().unwrap() };
        for (name, text) in files {
            let path = folder.directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn find(&self, name: &str) -> Result<Found, FindError> {
        ConfigDir::new(self.directory.path()).find(name)
    }

    #[track_caller]
    fn plugin_types(&self, name: &str) -> Vec<String> {
        let list = self.find(name).unwrap().network.list;
        list.plugins.into_iter().map(|plugin| plugin.plugin_type).collect()
    }

    fn failure(&self, name: &str) -> String {
        let text = self.find(name).unwrap_err().to_string();
        text.replace(self.directory.path().to_str().unwrap(), "DIR")
    }
}

const A: &str = r#"{"cniVersion": "1.0.0", "name": "a", "plugins": [{"type": "one"}]}"#;

#[test]
fn lists_come_before_single_plugins_and_earlier_files_before_later_ones() {
    let folder = Folder::new(&[
        ("00.conf", r#"{"cniVersion": "1.0.0", "name": "a", "type": "single"}"#),
        ("20.conflist", r#"{"name": "a", "plugins": [{"type": "late"}]}"#),
        ("10.conflist", A),
        ("50.json", r#"{"cniVersion": "0.4.0", "name": "j", "type": "single"}"#),
        ("60.txt", "not a configuration"),
        ("sub/70.conflist", r#"{"name": "deep", "plugins": [{"type": "x"}]}"#),
    ]);
    assert_eq!(folder.plugin_types("a"), ["one"]);
    let single = folder.find("j").unwrap().network.list;
    assert_eq!((single.cni_version.as_str(), single.plugins.len()), ("0.4.0", 1));
    assert_eq!(folder.failure("deep"), "no net configuration with name \"deep\" in DIR");
    let listing = ConfigDir::new(folder.directory.path()).list().unwrap();
    let names = |networks: &[Network]| -> Vec<String> {
        networks.iter().map(|network| network.list.name.clone()).collect()
    };
    assert_eq!(names(&listing.networks), ["a", "j"]);
    assert_eq!(names(&listing.hidden), ["a", "a"]);
}

#[test]
fn a_broken_file_is_reported_and_hides_nothing() {
    let folder = Folder::new(&[
        ("00.conflist", "{"),
        ("05.conflist", r#"{"name": "b"}"#),
        ("10.conflist", A),
    ]);
    let found = folder.find("a").unwrap();
    assert_eq!(found.network.list.name, "a");
    let reasons: Vec<String> =
        found.skipped.iter().map(|broken| broken.error.to_string()).collect();
    assert_eq!(
        reasons,
        [
            "error parsing configuration list: unexpected end of JSON input",
            "no plugin configs found"
        ]
    );
    assert_eq!(folder.failure("b"), "DIR/05.conflist: no plugin configs found");
    assert_eq!(folder.failure("c"), "no net configuration with name \"c\" in DIR");
}

#[test]
fn an_empty_folder_and_none_at_all_are_the_same() {
    let folder = Folder::new(&[("readme.txt", "")]);
    assert_eq!(folder.failure("a"), "no net configurations found in DIR");
    let error = ConfigDir::new("/no/such/folder").find("a").unwrap_err();
    assert_eq!(error.to_string(), "no net configurations found in /no/such/folder");
}

#[test]
fn the_folder_of_a_network_adds_plugins() {
    let inlined = |only: bool, name: &str| {
        format!(
            r#"{{"name": "{name}", "loadOnlyInlinedPlugins": {only}, "plugins": [{{"type": "one"}}]}}"#
        )
    };
    let folder = Folder::new(&[
        ("10.conflist", &inlined(false, "a")),
        ("20.conflist", &inlined(true, "b")),
        ("30.conflist", r#"{"name": "c"}"#),
        ("40.conflist", r#"{"name": "d", "plugins": [{"type": "one"}]}"#),
        ("a/20.conf", r#"{"type": "three"}"#),
        ("a/10.conf", r#"{"type": "two"}"#),
        ("a/30.json", r#"{"type": "ignored"}"#),
        ("b/10.conf", r#"{"type": "ignored"}"#),
        ("c/10.conf", r#"{"type": "only"}"#),
        ("d/10.conf", r#"{"kind": "typeless"}"#),
    ]);
    assert_eq!(folder.plugin_types("a"), ["one", "two", "three"]);
    assert_eq!(folder.plugin_types("b"), ["one"]);
    assert_eq!(folder.plugin_types("c"), ["only"]);
    let expected = "DIR/40.conflist: DIR/d/10.conf: error parsing configuration: missing 'type'";
    assert_eq!(folder.failure("d"), expected);
}
