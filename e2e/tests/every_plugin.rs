//! What holds for every plugin, from outside: each on a host that has what it needs, with the
//! plugin before it in a list if it needs one.
//!
//! Each plugin has tests of its own names, so that one that this kernel cannot serve is tried on
//! another while the others run here.

#[path = "every_plugin/collection.rs"]
mod collection;
#[path = "every_plugin/damage.rs"]
mod damage;
#[path = "every_plugin/failures.rs"]
mod failures;
#[path = "every_plugin/life.rs"]
mod life;
#[path = "every_plugin/names.rs"]
mod names;
#[path = "every_plugin/versions.rs"]
mod versions;

use ropewalk_e2e::{PLUGIN_NAMES, SAMPLES};

macro_rules! tests_of_each {
    ($($module:ident: $plugin:literal,)*) => {
        $(
            mod $module {
                #[test]
                fn it_comes_and_goes_and_may_be_deleted_twice_and_late() {
                    crate::life::comes_and_goes($plugin);
                }

                #[test]
                fn it_starts_no_other_program() {
                    crate::life::starts_nobody($plugin);
                }

                #[test]
                fn a_second_add_changes_nothing() {
                    crate::life::second_add($plugin);
                }

                #[test]
                fn garbage_collection_takes_what_lost_its_owner() {
                    crate::collection::collects($plugin);
                }

                #[test]
                fn every_version_has_its_result() {
                    crate::versions::all($plugin);
                }

                #[test]
                fn a_failed_add_leaves_nothing() {
                    crate::failures::leave_nothing($plugin);
                }

                #[test]
                fn check_notices_what_is_gone() {
                    crate::damage::is_noticed($plugin);
                }

                #[test]
                fn odd_names_and_neighbours_do_no_harm() {
                    crate::names::odd($plugin);
                    crate::names::neighbours($plugin);
                }
            }
        )*
    };
}

ropewalk_e2e::for_every_plugin!(tests_of_each);

#[test]
fn every_plugin_has_a_sample() {
    let samples: Vec<&str> = SAMPLES.iter().map(|sample| sample.name).collect();
    assert_eq!(samples, PLUGIN_NAMES);
}
