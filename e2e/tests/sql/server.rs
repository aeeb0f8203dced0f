//! A PostgreSQL server of Debian's package, run for one private host.

use std::path::PathBuf;

use ropewalk_e2e::{Lab, Process, Value, json};

/// The server does not run as root, and nothing it keeps is worth waiting for a disk.
const SETTINGS: &str = "
listen_addresses = '*'
fsync = off
log_min_messages = warning
max_connections = 40
";

/// Private hosts beside the server's that may ask it, too.
const NEAR: &str = "10.98.0.0/24";

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
        lab.sh(&format!("echo 'host all all {NEAR} trust' >> {directory}/data/pg_hba.conf"));
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

    /// The path of its socket, as seen outside.
    pub(crate) fn socket(&self) -> PathBuf {
        self.lab.outside(&format!("{}/{}", self.directory, self.socket_name()))
    }

    /// The name that every socket of this port has.
    pub(crate) fn socket_name(&self) -> String {
        format!(".s.PGSQL.{}", self.port)
    }

    /// Where it is.
    pub(crate) fn lab(&self) -> &'lab Lab {
        self.lab
    }

    /// The folder of its socket.
    pub(crate) fn directory(&self) -> &str {
        &self.directory
    }

    /// Its database, over the Unix socket.
    pub(crate) fn url(&self) -> String {
        self.url_at(&self.directory)
    }

    /// Its database, over a socket in another folder.
    pub(crate) fn url_at(&self, directory: &str) -> String {
        format!("postgres:///ipam?host={directory}&port={}", self.port)
    }

    /// Who has which address, as `10.0.0.2 c1`, ascending as text.
    pub(crate) fn held(&self) -> Vec<String> {
        let sql = "SELECT address || ' ' || container FROM ropewalk_lease WHERE free_at IS NULL";
        let mut held: Vec<String> = self.psql("ipam", sql).lines().map(str::to_owned).collect();
        held.sort();
        held
    }
}

/// One pool of this subnet.
pub(crate) fn pool(subnet: &str) -> Value {
    json!({ "pools": [{ "subnet": subnet }] })
}
