//! A PostgreSQL server of Debian's package, run for one private host, and a proxy before it that
//! cuts connections.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use ropewalk_e2e::{Lab, Process, Value};

/// The server does not run as root, and nothing it keeps is worth waiting for a disk.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
fsync = off
log_min_messages = warning
max_connections = 40
";

/// A running server, or one that could be started.
pub(crate) struct Server<'lab> {
    lab: &'lab Lab,
    programs: String,
    directory: String,
    port: u16,
    process: Option<Process>,
}

impl<'lab> Server<'lab> {
    /// Makes a server with a database `ipam` and starts it.
    pub(crate) fn new(lab: &'lab Lab, name: &str, port: u16) -> Self {
        let mut server = Self::without_files(lab, name, port);
        let directory = server.directory.clone();
        lab.sh(&format!("mkdir -p {directory} && chown postgres {directory}"));
        server.run_as("initdb", &format!("-D {directory}/data -A trust -U postgres -N --locale=C"));
        lab.write(&format!("{directory}/data/postgresql.auto.conf"), SETTINGS);
        server.start();
        server.psql("postgres", "CREATE DATABASE ipam");
        server
    }

    /// A server that repeats what another one does, and takes no changes.
    pub(crate) fn standby_of(primary: &Self, name: &str, port: u16) -> Self {
        let mut server = Self::without_files(primary.lab, name, port);
        let directory = &server.directory;
        let (from, from_port) = (&primary.directory, primary.port);
        primary.lab.sh(&format!("mkdir -p {directory} && chown postgres {directory}"));
        let copy = format!("-D {directory}/data -R -c fast -h {from} -p {from_port} -U postgres");
        server.run_as("pg_basebackup", &copy);
        server.start();
        server
    }

    fn without_files(lab: &'lab Lab, name: &str, port: u16) -> Self {
        let programs = lab.sh("ls -d /usr/lib/postgresql/*/bin | tail -n 1").trim().to_owned();
        let directory = format!("/run/{name}");
        Self { lab, programs, directory, port, process: None }
    }

    /// Runs a program of the package as the package's user.
    fn run_as(&self, program: &str, words: &str) {
        let script = format!("runuser -u postgres -- {}/{program} {words} 2>&1", self.programs);
        self.lab.sh(&script);
    }

    /// Starts it and waits until it answers.
    pub(crate) fn start(&mut self) {
        let data = format!("{}/data", self.directory);
        let program = format!("{}/postgres", self.programs);
        let port = self.port.to_string();
        let user = ["--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=KILL"];
        let words = [&["/usr/bin/setpriv"][..], &user].concat();
        let server = [&program, "-D", &data, "-k", &self.directory, "-p", &port];
        let words = [words, server.to_vec()].concat();
        let log = format!("{}/log", self.directory);
        self.process = Some(Process::start(self.lab, "postgresql", &words, &log));
        let question = format!("{}/pg_isready -q -h {} -p {port}", self.programs, self.directory);
        self.lab.wait_until("the server answers", || self.lab.try_sh(&question).code == 0);
    }

    /// Ends it as a power cut does.
    pub(crate) fn kill(&mut self) {
        self.process = None;
        self.lab.sh(&format!("rm -f {}/data/postmaster.pid", self.directory));
    }

    /// Runs SQL in a database; the answer is one line for each row.
    pub(crate) fn psql(&self, database: &str, sql: &str) -> String {
        self.lab.sh(&self.psql_script(database, sql))
    }

    /// The script that runs SQL.
    pub(crate) fn psql_script(&self, database: &str, sql: &str) -> String {
        let (directory, port) = (&self.directory, self.port);
        format!("psql -h {directory} -p {port} -U postgres -qAt {database} -c \"{sql}\"")
    }

    /// The folder of its socket.
    pub(crate) fn directory(&self) -> &str {
        &self.directory
    }

    /// Its database, over the Unix socket.
    pub(crate) fn url(&self) -> String {
        format!("postgres:///ipam?host={}&port={}", self.directory, self.port)
    }

    /// Who has which address, as `10.0.0.2 c1`, ascending as text.
    pub(crate) fn held(&self) -> Vec<String> {
        let sql = "SELECT address || ' ' || container FROM ropewalk_lease WHERE free_at IS NULL";
        let mut held: Vec<String> = self.psql("ipam", sql).lines().map(str::to_owned).collect();
        held.sort();
        held
    }
}

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
        server.lab.sh(&format!("mkdir -p {directory}"));
        let name = format!(".s.PGSQL.{}", server.port);
        let listener = UnixListener::bind(server.lab.outside(&format!("{directory}/{name}")));
        let listener = listener.expect("a fresh directory takes sockets");
        let behind = server.lab.outside(&format!("{}/{name}", server.directory));
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
        format!("postgres:///ipam?host={}&port={}", self.directory, server.port)
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

/// One pool of this subnet.
pub(crate) fn pool(subnet: &str) -> Value {
    ropewalk_e2e::json!({ "pools": [{ "subnet": subnet }] })
}
