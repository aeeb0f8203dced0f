//! Whether this kernel has a part, or can load it. Trying would load it, so its lists are read: of
//! modules, or, where there are none, of its functions.

use std::{fs, path::Path};

use super::modules::{is_built_in, is_loaded};

/// What a kernel consists of.
#[derive(Debug)]
pub struct Parts {
    /// `None` for a kernel without modules.
    loaded: Option<String>,
    built_in: String,
    to_be_loaded: String,
    functions: String,
}

impl Parts {
    /// Reads what there is.
    pub fn read() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let release = text("/proc/sys/kernel/osrelease");
        let of_release = |file: &str| text(&format!("/lib/modules/{}/{file}", release.trim()));
        let loaded = fs::read_to_string("/proc/modules").ok();
        let functions = if loaded.is_none() { text("/proc/kallsyms") } else { String::new() };
        Self {
            loaded,
            built_in: of_release("modules.builtin"),
            to_be_loaded: of_release("modules.dep"),
            functions,
        }
    }

    /// Whether one of these modules is there or can be loaded; `functions` are theirs. Where
    /// nothing can be read, everything may be there.
    pub fn has(&self, modules: &[&str], functions: &[&str]) -> bool {
        match &self.loaded {
            Some(_) if self.built_in.is_empty() && self.to_be_loaded.is_empty() => true,
            Some(loaded) => modules.iter().any(|module| {
                is_loaded(loaded, module)
                    || is_built_in(&self.built_in, module)
                    || is_on_disk(&self.to_be_loaded, module)
                    || Path::new("/sys/module").join(module).exists()
            }),
            None => {
                let is_there = |name: &&str| has_function(&self.functions, name);
                self.functions.is_empty() || functions.iter().any(is_there)
            }
        }
    }
}

/// Files may be compressed, and blanks in names are written in two ways.
fn is_on_disk(files: &str, name: &str) -> bool {
    files.lines().any(|line| {
        let file = line.split(':').next().and_then(|path| path.rsplit('/').next());
        let module = file.and_then(|file| file.split_once(".ko")).map(|(module, _)| module);
        module.is_some_and(|module| module.replace('-', "_") == name)
    })
}

/// Compilers add endings to names of functions that they have taken apart.
fn has_function(functions: &str, name: &str) -> bool {
    functions.match_indices(name).any(|(at, _)| {
        let (before, behind) = (&functions[..at], &functions[at + name.len()..]);
        before.ends_with(' ') && behind.starts_with(['.', '\n', '\t'])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_in_lists_of_files_and_functions() {
        let files = "kernel/net/8021q/8021q.ko.xz: kernel/x/garp.ko.xz\nkernel/x/sch-y.ko:\n";
        assert!(is_on_disk(files, "8021q") && is_on_disk(files, "sch_y"));
        assert!(!is_on_disk(files, "garp"));
        let functions = "0000000000000000 t veth_setup\nffff T br_dev_setup.isra.0\n";
        assert!(has_function(functions, "veth_setup") && has_function(functions, "br_dev_setup"));
        assert!(!has_function(functions, "vrf_setup"));
    }

    #[test]
    fn a_kernel_that_tells_nothing_is_not_accused() {
        let dumb = |loaded| Parts {
            loaded,
            built_in: String::new(),
            to_be_loaded: String::new(),
            functions: String::new(),
        };
        assert!(dumb(None).has(&["vrf"], &["vrf_setup"]));
        assert!(dumb(Some("veth 1 - Live\n".into())).has(&["vrf"], &["vrf_setup"]));
    }
}
