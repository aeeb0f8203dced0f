//! Every system call of every plugin fails in every way, or is the last one: whatever was begun is
//! undone by what the runtime does next, and nobody else notices.
//!
//! A seed chooses some hundreds for each plugin; `ROPEWALK_FAULTS=all` tries them all.

use ropewalk_e2e::faults::try_faults;

/// How many faults are chosen of each plugin. Not all come to pass: a call may not be made when
/// another container has come in between.
const FAULTS: usize = 200;

/// A test for each plugin, so that they are told apart and run beside each other.
macro_rules! tests_of_each {
    ($($name:ident: $plugin:literal,)*) => {
        $(
            #[test]
            fn $name() {
                try_faults($plugin, FAULTS);
            }
        )*
    };
}

ropewalk_e2e::for_every_plugin!(tests_of_each);
