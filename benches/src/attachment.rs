//! A container's life on a network: every plugin of the list in turn, as a runtime runs them.

use std::{net::Ipv4Addr, ops::Range, time::Instant};

use serde_json::{Value, json};

use crate::{
    Outcome,
    call::{self, Attachment, Cost, Verb},
    console::tell,
    contestant::{Contestant, REFERENCE},
    failed,
    host::Host,
};

/// A container that is attached, or could be.
#[derive(Clone, Debug)]
pub struct Container {
    plugins: Vec<Value>,
    contestant: Contestant,
    attachment: Attachment,
    /// What ADD answered.
    result: Value,
    complaint: Option<String>,
}

impl Container {
    /// A container of a contestant with a namespace and, where ports are published, a port.
    pub fn new(
        contestant: &Contestant,
        plugins: &[Value],
        (name, netns): (&str, String),
        port: u16,
    ) -> Self {
        let mut plugins = plugins.to_vec();
        for plugin in plugins.iter_mut().filter(|plugin| plugin["capabilities"].is_object()) {
            let mapping = json!({ "hostPort": port, "containerPort": 80, "protocol": "tcp" });
            plugin["runtimeConfig"] = json!({ "portMappings": [mapping] });
        }
        let path = contestant.directory.clone();
        let attachment = Attachment { path, container: name.to_owned(), netns };
        Self {
            plugins,
            contestant: contestant.clone(),
            attachment,
            result: Value::Null,
            complaint: None,
        }
    }

    /// How many plugins its list has.
    pub fn plugins(&self) -> usize {
        self.plugins.len()
    }

    /// Runs a verb of every plugin.
    pub fn run(&mut self, verb: Verb) -> Outcome<Cost> {
        self.run_with(verb, &[])
    }

    /// Runs a verb of every plugin behind other words, for example a tracer's.
    pub fn run_with(&mut self, verb: Verb, before: &[&str]) -> Outcome<Cost> {
        let mut total = Cost::default();
        for index in 0..self.plugins.len() {
            let index = if verb == Verb::Del { self.plugins.len() - 1 - index } else { index };
            let program = self.program(index);
            let words: Vec<&str> = before.iter().copied().chain([program.as_str()]).collect();
            let mut command = call::command(&words, verb, &self.attachment);
            let config = self.config(index, verb);
            let called = call::run(&mut command, &config)?;
            total = total.and(called.cost);
            if !called.is_success && verb == Verb::Check && self.contestant.name == REFERENCE {
                self.complaint = Some(complaint(&called.text));
            } else if !called.is_success {
                return Err(format!("{command:?} <<< {config}: {}", called.text));
            } else if verb == Verb::Add {
                self.answered(&called.text)?;
            }
        }
        Ok(total)
    }

    /// The first plugin's call, to be started by the caller.
    pub fn first_call(&self, verb: Verb) -> (std::process::Command, String) {
        let command = call::command(&[&self.program(0)], verb, &self.attachment);
        (command, self.config(0, verb))
    }

    /// Takes an answer to ADD.
    pub fn answered(&mut self, text: &str) -> Outcome<()> {
        self.result = serde_json::from_str(text).map_err(failed(format!("no result: {text}")))?;
        Ok(())
    }

    /// What the last CHECK found wrong. The reference plugins may, some versions of which never
    /// are content with a container without IPv6; what they do until then is measured.
    pub fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }

    /// The address that ADD answered.
    pub fn address(&self) -> Outcome<Ipv4Addr> {
        let address = self.result["ips"][0]["address"].as_str().unwrap_or_default();
        let address = address.split('/').next().unwrap_or_default();
        address.parse().map_err(failed(format!("no address in {}", self.result)))
    }

    fn program(&self, index: usize) -> String {
        self.contestant.program(self.plugins[index]["type"].as_str().unwrap_or_default())
    }

    fn config(&self, index: usize, verb: Verb) -> String {
        let mut config = self.plugins[index].clone();
        if index > 0 || verb != Verb::Add {
            config["prevResult"] = self.result.clone();
        }
        config.to_string()
    }
}

/// The first published port of containers that are measured; those of others are behind it.
pub const PORT: u16 = 20_000;
const PORTS_OF_OTHERS: u16 = PORT + 100;

/// Adds containers that are not measured themselves, with these numbers.
pub fn fill(
    host: &mut Host,
    contestant: &Contestant,
    plugins: &[Value],
    numbers: Range<u16>,
) -> Outcome<()> {
    host.enter()?;
    let begun = Instant::now();
    let network = plugins[0]["name"].as_str().unwrap_or_default();
    for number in numbers.clone() {
        let name = format!("{network}-{number}");
        let id = (name.as_str(), host.container(&name)?);
        Container::new(contestant, plugins, id, PORTS_OF_OTHERS + number).run(Verb::Add)?;
    }
    if numbers.len() > 1 {
        let Range { start, end } = numbers;
        let seconds = begun.elapsed().as_secs_f64();
        tell(&format!("{network}: containers {start} to {end} in {seconds:.1} s"));
    }
    Ok(())
}

/// The message in an error of CNI.
fn complaint(text: &str) -> String {
    let error: Value = serde_json::from_str(text).unwrap_or_default();
    error["msg"].as_str().unwrap_or(text).to_owned()
}
