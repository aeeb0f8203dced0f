//! Those who are measured: a name, and a directory with plugins.

use std::{fs, os::unix::fs::symlink, path::Path};

use crate::{Outcome, failed, host::PLUGINS};

/// The plugins that are measured, which a multi-call program is linked as.
pub const NAMES: [&str; 8] =
    ["bridge", "firewall", "host-local", "loopback", "macvlan", "portmap", "ptp", "tuning"];

/// Who is measured.
#[derive(Clone, Debug)]
pub struct Contestant {
    /// As the tables call it.
    pub name: &'static str,
    /// What `CNI_PATH` is.
    pub directory: String,
}

/// The contestants in the order of the tables.
pub const REFERENCE: &str = "reference";
/// What is measured against the others.
pub const OURS: &str = "ropewalk";
/// Ours with a database in it.
pub const OURS_WITH_SQL: &str = "ropewalk-sql";
/// The least possible.
pub const FLOOR: &str = "floor";

impl Contestant {
    /// Plugins that are in a directory, or a program that is all of them.
    pub fn new(name: &'static str, path: &Path) -> Outcome<Self> {
        let text = |path: &Path| path.to_str().map(str::to_owned).ok_or("a path is not text");
        if path.is_dir() {
            return Ok(Self { name, directory: text(path)? });
        }
        if !path.is_file() {
            return Err(format!("{name}: there is no {}", path.display()));
        }
        let directory = format!("{PLUGINS}/{name}");
        fs::create_dir_all(&directory).map_err(failed(&directory))?;
        // The kernel maps a file that was written at once in larger pieces than one that a linker
        // wrote; installed programs are of the first kind.
        let installed = path.with_extension("installed");
        let _ = fs::remove_file(&installed);
        fs::copy(path, &installed).map_err(failed("install"))?;
        // What others do not have.
        let sql = (name == OURS_WITH_SQL).then_some("sql");
        for plugin in NAMES.into_iter().chain(sql) {
            symlink(&installed, format!("{directory}/{plugin}")).map_err(failed(plugin))?;
        }
        Ok(Self { name, directory })
    }

    /// The program of a plugin.
    pub fn program(&self, plugin: &str) -> String {
        format!("{}/{plugin}", self.directory)
    }
}
