//! A proxy before a PostgreSQL server that cuts connections.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::server::Server;

/// What a proxy does with connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Nothing.
    Never,
    /// The first is cut when the server has sent so many messages.
    FirstAfterAnswers(usize),
    /// The first is cut when the client has sent so many messages.
    FirstAfterQuestions(usize),
    /// Each is cut when the server has sent so many messages.
    EachAfterAnswers(usize),
}

/// A proxy before a server's Unix socket.
pub(crate) struct Proxy {
    directory: String,
    cut: Arc<Mutex<Cut>>,
    connections: Arc<AtomicUsize>,
}

impl Proxy {
    pub(crate) fn before(server: &Server<'_>) -> Self {
        let directory = "/run/proxy".to_owned();
        let lab = server.lab();
        lab.sh(&format!("mkdir -p {directory}"));
        let path = format!("{directory}/{}", server.socket_name());
        let listener = UnixListener::bind(lab.outside(&path));
        let listener = listener.expect("a fresh directory takes sockets");
        let behind = server.socket();
        let cut = Arc::new(Mutex::new(Cut::Never));
        let connections = Arc::new(AtomicUsize::new(0));
        let (what, count) = (Arc::clone(&cut), Arc::clone(&connections));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let is_first = count.fetch_add(1, Ordering::SeqCst) == 0;
                let cut = *what.lock().expect("nobody panics with it");
                let Ok(server) = UnixStream::connect(&behind) else { continue };
                let [answers, questions] = cut.limits(is_first);
                forward(&client, &server, questions, false);
                forward(&server, &client, answers, true);
            }
        });
        Self { directory, cut, connections }
    }

    /// What happens to connections from now on.
    pub(crate) fn set(&self, cut: Cut) {
        *self.cut.lock().expect("nobody panics with it") = cut;
        self.connections.store(0, Ordering::SeqCst);
    }

    /// The server's database through it.
    pub(crate) fn url(&self, server: &Server<'_>) -> String {
        server.url_at(&self.directory)
    }
}

impl Cut {
    /// After how many messages of the server and of the client.
    fn limits(self, is_first: bool) -> [usize; 2] {
        match self {
            Self::FirstAfterAnswers(count) if is_first => [count, usize::MAX],
            Self::FirstAfterQuestions(count) if is_first => [usize::MAX, count],
            Self::EachAfterAnswers(count) => [count, usize::MAX],
            Self::Never | Self::FirstAfterAnswers(_) | Self::FirstAfterQuestions(_) => {
                [usize::MAX; 2]
            }
        }
    }
}

/// Passes messages on until there were so many, then cuts both ways.
fn forward(from: &UnixStream, to: &UnixStream, most: usize, is_typed: bool) {
    let clone = |stream: &UnixStream| stream.try_clone().expect("a socket can be opened twice");
    let (mut from, mut to) = (clone(from), clone(to));
    thread::spawn(move || {
        // The client's first message has no type.
        let mut has_type = is_typed;
        for _ in 0..most {
            let Some(message) = message(&mut from, has_type) else { break };
            has_type = true;
            if to.write_all(&message).is_err() {
                break;
            }
        }
        // Whoever is gone needs no end.
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    });
}

fn message(from: &mut UnixStream, has_type: bool) -> Option<Vec<u8>> {
    let mut bytes = vec![0; if has_type { 5 } else { 4 }];
    from.read_exact(&mut bytes).ok()?;
    let length = bytes.last_chunk::<4>().map(|length| u32::from_be_bytes(*length))?;
    let mut rest = vec![0; usize::try_from(length).ok()?.checked_sub(4)?];
    from.read_exact(&mut rest).ok()?;
    bytes.extend(rest);
    Some(bytes)
}
