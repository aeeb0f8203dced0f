//! `ropewalk man`: the manual pages.

use std::io;

use clap::Args;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

/// Print the manual page
///
/// For example: ropewalk man | man -l -
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The subcommand to print the page of
    command: Option<String>,
}

pub(crate) fn run(options: &Options, output: Output) -> Result<(), Failure> {
    let page = page(options.command.as_deref())?;
    output.raw(&page)
}

fn page(subcommand: Option<&str>) -> Result<Vec<u8>, Failure> {
    let mut command = crate::command();
    command.build();
    let command = match subcommand {
        None => command,
        Some(name) => command.find_subcommand(name).cloned().ok_or_else(|| {
            let message = format!("failed to find a subcommand named {name:?}");
            Failure::new(Exit::Usage, message).with_hint("ropewalk --help lists them")
        })?,
    };
    let mut page = Vec::new();
    let has_subcommands = command.get_subcommands().next().is_some();
    let rendered = render(&Man::new(command), has_subcommands, &mut page);
    rendered.map_err(|error| Failure::failed(format!("failed to write the page: {error}")))?;
    Ok(page)
}

fn render(man: &Man, has_subcommands: bool, page: &mut Vec<u8>) -> io::Result<()> {
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    if has_subcommands {
        man.render_subcommands_section(page)?;
    }
    sections().to_writer(page)
}

/// What clap does not know about.
fn sections() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    for exit in Exit::ALL {
        roff.control("TP", []);
        roff.text([bold(exit.number().to_string())]);
        roff.text([roman(exit.meaning())]);
    }
    roff.control("SH", ["FILES"]);
    for (path, meaning) in FILES {
        roff.control("TP", []);
        roff.text([bold(path)]);
        roff.text([roman(meaning)]);
    }
    roff
}

const FILES: [(&str, &str); 5] = [
    ("/etc/cni/net.d", "network configurations: *.conflist, *.conf and *.json"),
    ("/etc/cni/net.d/NETWORK/*.conf", "more plugins of a network, after those of its list"),
    ("/var/lib/cni/results", "one record for each attachment, shared with other runtimes"),
    ("/var/lib/cni/dhcp", "leases that the daemon of the dhcp plugin holds"),
    ("/var/lib/cni/networks", "leases of the host-local plugin"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_every_exit_code_and_subcommand() {
        let page = String::from_utf8(page(None).unwrap()).unwrap().replace("\\-", "-");
        for exit in Exit::ALL {
            assert!(page.contains(exit.meaning()), "{page}");
        }
        for command in crate::command().get_subcommands() {
            assert!(page.contains(command.get_name()), "{page}");
        }
    }

    #[test]
    fn every_subcommand_has_a_page_of_its_own() {
        for command in crate::command().get_subcommands() {
            page(Some(command.get_name())).unwrap();
        }
        assert_eq!(page(Some("nope")).unwrap_err().exit, Exit::Usage);
    }
}
