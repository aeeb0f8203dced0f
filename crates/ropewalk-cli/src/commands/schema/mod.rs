//! `ropewalk schema`: what may stand in a configuration, for editors and for pages.
//!
//! It must never say more than the descriptions of the plugins do.

mod document;
mod markdown;

use clap::Args;
use clap::builder::PossibleValuesParser;
use ropewalk_plugins::describe::{DESCRIPTIONS, find};

use crate::failure::Failure;
use crate::output::Output;

/// Print the JSON Schema of network configurations
///
/// Editors complete keys with it and tell mistakes. Unknown keys are valid, since CNI lets others
/// add keys; "ropewalk lint" names them.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// A plugin whose object to describe; without it, a whole list of plugins
    #[arg(value_parser = PossibleValuesParser::new(described()))]
    plugin: Option<String>,

    /// Print tables in Markdown: of the plugin's keys, or of all plugins
    #[arg(long)]
    markdown: bool,
}

pub(crate) fn run(options: &Options, output: Output) -> Result<(), Failure> {
    let description = match &options.plugin {
        Some(name) => Some(find(name).ok_or_else(|| {
            Failure::failed(format!("failed to find the description of {name:?}"))
        })?),
        None => None,
    };
    let text = match (description, options.markdown) {
        (Some(description), true) => markdown::keys(description),
        (None, true) => markdown::plugins(),
        (Some(description), false) => format!("{:#}\n", document::of_plugin(description)),
        (None, false) => format!("{:#}\n", document::of_list()),
    };
    output.raw(text.as_bytes())
}

/// The names of all plugins that are described, those with a program of their own too.
fn described() -> impl Iterator<Item = &'static str> {
    DESCRIPTIONS.iter().map(|description| description.plugin)
}

#[cfg(test)]
mod tests;
