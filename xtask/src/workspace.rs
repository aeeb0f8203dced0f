//! The packages of the workspace and what they depend on, as cargo tells it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::process;

/// Every package of the workspace.
#[derive(Clone, Debug)]
pub struct Workspace {
    pub(crate) packages: Vec<Package>,
}

/// One package.
#[derive(Clone, Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Its directory, relative to the root.
    pub(crate) directory: String,
    pub(crate) dependencies: Vec<Dependency>,
}

/// One line below `[dependencies]`, `[dev-dependencies]` or `[build-dependencies]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// Whether it is a package of this workspace.
    pub(crate) is_ours: bool,
    /// Whether only tests and examples use it.
    pub(crate) is_for_tests: bool,
}

impl Workspace {
    /// The directory of the workspace.
    pub fn root() -> PathBuf {
        let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
        xtask.parent().unwrap_or(xtask).to_owned()
    }

    /// Asks cargo.
    pub fn read(root: &Path) -> Result<Self, String> {
        let mut cargo = process::cargo(root);
        let text = process::output(cargo.args(["metadata", "--no-deps", "--format-version", "1"]))?;
        let value: Value = serde_json::from_str(&text)
            .map_err(|error| format!("cargo metadata answers something else: {error}"))?;
        let packages = value["packages"].as_array().into_iter().flatten();
        Ok(Self { packages: packages.map(|value| Package::read(root, value)).collect() })
    }

    /// The packages below `crates/`.
    pub(crate) fn crates(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.directory.starts_with("crates/"))
    }
}

impl Package {
    fn read(root: &Path, value: &Value) -> Self {
        let manifest = Path::new(value["manifest_path"].as_str().unwrap_or_default());
        let directory = manifest.parent().unwrap_or(manifest);
        let directory = directory.strip_prefix(root).unwrap_or(directory);
        let dependencies = value["dependencies"].as_array().into_iter().flatten();
        Self {
            name: value["name"].as_str().unwrap_or_default().to_owned(),
            directory: directory.display().to_string(),
            dependencies: dependencies.map(Dependency::read).collect(),
        }
    }

    pub(crate) fn manifest(&self) -> String {
        format!("{}/Cargo.toml", self.directory)
    }

    /// The packages of this workspace that the product of this one is built from.
    pub(crate) fn ours(&self) -> impl Iterator<Item = &str> {
        let ours = self.dependencies.iter().filter(|d| d.is_ours && !d.is_for_tests);
        ours.map(|dependency| dependency.name.as_str())
    }
}

impl Dependency {
    fn read(value: &Value) -> Self {
        Self {
            name: value["name"].as_str().unwrap_or_default().to_owned(),
            is_ours: value["path"].is_string(),
            is_for_tests: value["kind"].as_str() == Some("dev"),
        }
    }
}
