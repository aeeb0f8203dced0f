//! `ropewalk ui`: a page with the network of this host as it is and as it changes.
//!
//! It only reads, as `topology` does. Nothing of the page comes from elsewhere, and nobody looks
//! who does not know the token.

mod access;
mod api;
mod hub;
mod others;
mod page;
mod shape;
mod view;

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::Value;

use self::access::Access;
use self::hub::Hub;
use self::shape::Shape as _;
use crate::commands::{doctor, explain, stats};
use crate::failure::Failure;
use crate::http::{Request, Response, Server, Stop};
use crate::live::Live;
use crate::output::Output;

/// Serve a page with the network of this host, as it is and as it changes
///
/// The address that is printed has a token; whoever knows it may look. Away from this host it is
/// served through TLS only.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Address and port to listen at
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8650")]
    listen: SocketAddr,

    /// File with the certificate and those above it (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// File with the private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// File with the token; made if it is not there
    #[arg(long, value_name = "FILE", default_value = "/run/ropewalk/ui-token")]
    token_file: PathBuf,

    #[command(flatten)]
    places: doctor::Places,

    /// Print what the page knows of the server's documents; for building it
    #[arg(long, hide = true)]
    types: bool,
}

/// How often links are counted while somebody looks; no event tells what passes them.
const COUNTED: Duration = Duration::from_secs(1);

/// How often namespaces are looked for that no event tells of.
const LOOKED: Duration = Duration::from_secs(5);

/// What a person is told whose program has no page.
const NO_PAGE: &str = "\
this program was built without the page; build it with \"cargo xtask dist\", which needs npm.
What the page would show is at /api/topology, and as it changes at /api/events.";

pub(crate) fn run(options: &Options, output: Output) -> Result<(), Failure> {
    if options.types {
        return output.raw(api::module().as_bytes());
    }
    let failed = |error: std::io::Error| {
        Failure::failed(format!("failed to serve at {}: {error}", options.listen))
    };
    let encryption = access::encryption(options)?;
    let stop = Stop::at_signals().map_err(failed)?;
    let live = Live::start(options.places.cache(), output)?;
    let server = Server::bind(options.listen).map_err(failed)?;
    let address = server.address().map_err(failed)?;
    let token = access::token(&options.token_file)?;
    let scheme = if encryption.is_some() { "https" } else { "http" };
    let server = match encryption {
        Some(encryption) => server.with_tls(encryption),
        None => server,
    };
    let hub = Arc::new(Hub::new().map_err(failed)?);
    hub.tell(view::spaces(live.host()), Vec::new());
    if !page::is_there() {
        output.warn(NO_PAGE);
    }
    output.raw(format!("{scheme}://{address}/?token={token}\n").as_bytes())?;
    let access = Access::new(token, address);
    let answer = |request: &Request| {
        let refused = access.judge(request, scheme == "https");
        refused.unwrap_or_else(|| self::answer(request, &hub, &options.places, output))
    };
    thread::scope(|scope| {
        let serving = scope.spawn(|| server.serve(&stop, &answer));
        let watched = watch(live, &hub, &stop);
        // Whatever ended first ends the others.
        stop.tell();
        hub.end();
        let ended = serving.join().unwrap_or_else(|_| Err(std::io::ErrorKind::Other.into()));
        watched.and(ended.map_err(failed))
    })
}

/// Keeps the hub informed until it is to end.
fn watch(mut live: Live<'_>, hub: &Hub, stop: &Stop) -> Result<(), Failure> {
    let (mut counted, mut looked) = (Instant::now(), Instant::now());
    while !stop.is_told() {
        let wait = COUNTED.saturating_sub(counted.elapsed());
        let mut changes = live.wait(&[stop.as_fd(), hub.asked()], wait)?;
        if looked.elapsed() >= LOOKED {
            changes.get_or_insert_default().extend(live.look_around());
            looked = Instant::now();
        }
        if let Some(changes) = changes {
            hub.tell(view::spaces(live.host()), changes.into_iter().map(view::change).collect());
        }
        if counted.elapsed() >= COUNTED {
            if hub.has_listeners() {
                live.count();
                hub.tell_rates(&view::rates(live.rates()));
            }
            counted = Instant::now();
        }
        hub.answer(&mut live);
    }
    Ok(())
}

fn answer(request: &Request, hub: &Arc<Hub>, places: &doctor::Places, output: Output) -> Response {
    match request.path.as_str() {
        "/api/topology" => Response::json(&hub.state().json()),
        "/api/events" => Response::events(hub.listen()),
        "/api/namespace" => {
            let Some(inode) = request.parameter("id").and_then(|id| id.parse().ok()) else {
                return Response::refusal(400, "id must be the inode of a namespace");
            };
            match hub.ask(move |live| view::detail(live.host(), inode)) {
                Some(Some(detail)) => Response::json(&detail.json()),
                Some(None) => Response::refusal(404, "there is no such namespace"),
                None => Response::error(503),
            }
        }
        "/api/explain" => {
            let parameter = |name| request.parameter(name).unwrap_or_default().to_owned();
            let (from, to, port) = (parameter("from"), parameter("to"), parameter("port"));
            let answer = hub.ask(move |live| explain::answer(live.host(), (&from, &to), &port));
            answer.map_or_else(|| Response::error(503), answered)
        }
        "/api/doctor" => {
            // Books may be far away; who watches the host does not wait for them.
            let Some(host) = hub.ask(|live| live.host().clone()) else {
                return Response::error(503);
            };
            let findings = doctor::findings(&host, true, places, output);
            answered(findings.map(|findings| doctor::json(&findings)))
        }
        "/api/stats" => {
            let counted = hub.ask(|live| {
                live.count();
                stats::document(live.host())
            });
            counted.map_or_else(|| Response::error(503), |document| Response::json(&document))
        }
        "/" if !page::is_there() => Response::refusal(404, NO_PAGE),
        _ => page::asset(request).unwrap_or_else(|| Response::error(404)),
    }
}

/// What was found out, or a sentence that says why it was not.
fn answered(answer: Result<Value, Failure>) -> Response {
    match answer {
        Ok(document) => Response::json(&document),
        Err(failure) => Response::refusal(404, &failure.to_string()),
    }
}
