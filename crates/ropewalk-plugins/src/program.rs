//! One run of a plugin: read the environment and standard input, answer once on standard output.

use std::{
    ffi::OsString,
    io::{self, Read, Write},
    path::Path,
};

use ropewalk_cni::{
    CniError, Command, Environment, ErrorCode, Request, about, validate, version_document,
    wants_about,
};

use crate::{
    ipam,
    table::{self, Kind, PLUGINS, Plugin},
    verbs,
};

/// Few configurations are longer, with the results of earlier plugins in them; in bytes.
const ORDINARY_INPUT: usize = 16 * 1024;

/// The names of all plugins, ascending.
pub fn names() -> impl Iterator<Item = &'static str> {
    PLUGINS.iter().map(|plugin| plugin.name)
}

/// Whether there is a plugin of this name.
pub fn is_plugin(name: &str) -> bool {
    table::find(name).is_some()
}

/// Exit statuses. What went wrong is said on standard output.
const SUCCESS: u8 = 0;
const FAILURE: u8 = 1;

/// Runs a multi-call binary that has these plugins beside the usual ones, with all the words of its
/// command line. Returns the exit status.
pub fn multi_call(words: Vec<OsString>, added: &'static [Plugin]) -> u8 {
    table::add(added);
    let mut words = words.into_iter();
    let name = words.next().unwrap_or_default();
    let name = Path::new(&name).file_name().unwrap_or_default();
    main(&name.to_string_lossy(), words)
}

/// Runs the plugin of this name with these words of the command line and this process's
/// environment, input and output. Returns the exit status.
pub fn main(name: &str, words: impl IntoIterator<Item = OsString>) -> u8 {
    answer_panics();
    let mut words = words.into_iter();
    if name == "dhcp" && words.next().is_some_and(|word| word == "daemon") {
        return ipam::dhcp::run_daemon(words);
    }
    let Some(plugin) = table::find(name) else {
        let known: Vec<_> = table::all().map(|plugin| plugin.name).collect();
        return fail(&CniError::internal(format!(
            "no plugin is named {name:?}; hint: start this file under one of the names {}",
            known.join(", ")
        )));
    };
    run(plugin)
}

/// A caller is told of a defect in the words of the protocol.
fn answer_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let error = CniError::internal(format!("internal error at {place}"))
            .with_details("hint: this is a defect of the plugin; please report it");
        print(&error.to_json());
        std::process::exit(FAILURE.into());
    }));
}

fn run(plugin: &Plugin) -> u8 {
    let environment = Environment::read(|variable| std::env::var(variable).ok());
    if wants_about(&environment) {
        let text = about(plugin.name, env!("CARGO_PKG_VERSION"), plugin.versions);
        // Whoever asks without reading has their answer.
        let _ = io::stderr().write_all(text.as_bytes());
        return SUCCESS;
    }
    match answer(plugin, environment) {
        Ok(text) => print(&text),
        Err(error) => fail(&error),
    }
}

fn answer(plugin: &Plugin, environment: Environment) -> Result<String, CniError> {
    if validate(&environment)? == Some(Command::Version) {
        return Ok(version_document(plugin.versions));
    }
    let mut stdin = Vec::with_capacity(ORDINARY_INPUT);
    io::stdin().read_to_end(&mut stdin).map_err(|error| {
        CniError::new(ErrorCode::Io, format!("error reading from stdin: {error}"))
    })?;
    let request = Request::parse(environment, &stdin, plugin.versions)?;
    match plugin.kind {
        Kind::Device(load) => verbs::run(load(&request)?.as_ref(), &request),
        Kind::Ipam(plugin) => ipam::run(plugin, &request),
    }
}

/// A caller that has closed our output is told by the exit status.
fn print(text: &str) -> u8 {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => SUCCESS,
        Err(_) => FAILURE,
    }
}

fn fail(error: &CniError) -> u8 {
    print(&error.to_json());
    FAILURE
}
