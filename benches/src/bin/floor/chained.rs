//! The plugins that stand behind an interface plugin: `portmap` with one TCP port, `firewall`,
//! `tuning` with one setting.

use std::fs;

use crate::{
    Outcome, failed,
    nft::{self, Element},
    request::{Request, Verb},
    sandbox,
};

/// What `tuning` sets.
const SETTING: &str = "net.core.somaxconn";

pub(crate) fn portmap(request: &Request) -> Outcome<String> {
    let address = request.previous_address()?;
    let (host, port) = (request.number("hostPort")?, request.number("containerPort")?);
    of_element(request, &Element::port(host, address, port))
}

pub(crate) fn firewall(request: &Request) -> Outcome<String> {
    of_element(request, &Element::accepted(request.previous_address()?))
}

fn of_element(request: &Request, element: &Element) -> Outcome<String> {
    match request.verb {
        Verb::Add => {
            nft::add(element)?;
            request.previous().map(str::to_owned)
        }
        Verb::Check => nft::check(element).map(|()| String::new()),
        Verb::Del | Verb::Version => nft::expire(element).map(|()| String::new()),
    }
}

pub(crate) fn tuning(request: &Request) -> Outcome<String> {
    let value = request.text(SETTING)?;
    let path = format!("/proc/sys/{}", SETTING.replace('.', "/"));
    match request.verb {
        Verb::Add => {
            sandbox::enter(&sandbox::open(&request.netns)?)?;
            fs::write(path, value).map_err(failed(SETTING))?;
            request.previous().map(str::to_owned)
        }
        Verb::Check => {
            sandbox::enter(&sandbox::open(&request.netns)?)?;
            let found = fs::read_to_string(path).map_err(failed(SETTING))?;
            let is_set = found.trim_end() == value;
            if is_set { Ok(String::new()) } else { Err(format!("{SETTING} is {found}")) }
        }
        // It goes with the namespace.
        Verb::Del | Verb::Version => Ok(String::new()),
    }
}
