//! `ropewalk watch`: what changes in the network of this host, as it happens.
//!
//! It only reads. A terminal gets a picture that stays true; everything else a line for each
//! change.

mod keys;
mod screen;
mod view;

use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Args;
use ropewalk_topology::Change;
use serde_json::json;

use self::screen::Screen;
use self::view::View;
use crate::failure::Failure;
use crate::http::Stop;
use crate::live::Live;
use crate::options::CacheOptions;
use crate::output::Output;

/// Watch the network of this host: what changes, and what passes each link
///
/// In a terminal it shows a tree of namespaces and links with what passes them, and changes below.
/// Anywhere else, or with --json, it prints one line of JSON for each change.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    cache: CacheOptions,
}

/// How often links are counted; no event tells what passes them.
const COUNTED: Duration = Duration::from_secs(1);

/// How often namespaces are looked for that no event tells of.
const LOOKED: Duration = Duration::from_secs(5);

pub(crate) fn run(options: &Options, is_json: bool, output: Output) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::failed(format!("failed to watch: {error}"));
    let stop = Stop::at_signals().map_err(failed)?;
    let live = Live::start(&options.cache, output)?;
    if is_json || !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return print(live, &stop, output);
    }
    show(live, &stop, output)
}

/// A line for each change.
fn print(mut live: Live<'_>, stop: &Stop, output: Output) -> Result<(), Failure> {
    // Whoever reads this may begin to change things.
    output.line(
        &json!({ "time": now(), "act": "watching", "namespaces": live.host().namespaces.len() }),
    )?;
    let mut looked = Instant::now();
    while !stop.is_told() {
        let mut changes = live.wait(&[stop.as_fd()], LOOKED)?.unwrap_or_default();
        if looked.elapsed() >= LOOKED {
            changes.extend(live.look_around());
            looked = Instant::now();
        }
        for change in &changes {
            output.line(&document(change))?;
        }
    }
    Ok(())
}

fn document(change: &Change) -> serde_json::Value {
    json!({
        "time": now(),
        "namespace": change.namespace.inode,
        "name": change.place,
        "act": change.act.name(),
        "kind": change.kind.name(),
        "link": change.link,
        "what": change.what,
    })
}

/// Seconds since 1970, with milliseconds.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_secs_f64() * 1000.0).round() / 1000.0
}

/// A picture that stays true.
fn show(mut live: Live<'_>, stop: &Stop, output: Output) -> Result<(), Failure> {
    let mut screen = Screen::take(output)?;
    let mut view = View::default();
    let (mut counted, mut looked) = (Instant::now(), Instant::now());
    live.count();
    loop {
        if !view.is_paused() {
            view.see(live.host(), live.rates());
        }
        screen.draw(|size| view.lines(size))?;
        let stdin = std::io::stdin();
        let left = COUNTED.saturating_sub(counted.elapsed());
        let changes = live.wait(&[stop.as_fd(), stdin.as_fd(), screen.resized()], left)?;
        view.note(changes.unwrap_or_default());
        if counted.elapsed() >= COUNTED {
            live.count();
            counted = Instant::now();
        }
        if looked.elapsed() >= LOOKED {
            view.note(live.look_around());
            looked = Instant::now();
        }
        let keys = screen.keys()?;
        if stop.is_told() || keys.into_iter().any(|key| view.press(key)) {
            return Ok(());
        }
    }
}
