//! Parts of the kernel that configured networks need.

use alloc::{format, vec::Vec};

use super::{Lacking, checks::Fact, view::View};

pub(super) fn lacking(view: &View<'_>) -> Vec<Fact> {
    let fact = |lacking: &Lacking| Fact {
        object: format!("network {}", lacking.network),
        evidence: format!(
            "its plugin {} needs {} ({}), which this kernel has not",
            lacking.plugin, lacking.module, lacking.option
        ),
        command: format!("modprobe {}", lacking.module),
        ..Fact::default()
    };
    view.papers.lacking.iter().map(fact).collect()
}
