//! Leases on disk: one file for each, from which a daemon that is started anew goes on.
//!
//! A record holds what came in, the plugin's arguments and the server's message, and nothing that
//! follows from them.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use ropewalk_dhcp::{self as v4, rpc::Arguments, v6};
use ropewalk_store::StateFile;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{attachment::Subject, client::Grant, say};

/// How the names of records end.
const ENDING: &str = ".json";

/// What is kept of a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// What the plugin was called with.
    pub(super) arguments: Arguments,
    /// What the server granted.
    pub(super) grant: Grant,
    /// Whether answers are broadcast.
    pub(super) broadcast: bool,
    /// When the first lease was asked for.
    pub(super) begun: Duration,
}

/// A directory of records.
#[derive(Clone, Debug)]
pub(super) struct Book {
    directory: PathBuf,
}

impl Book {
    pub(super) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// All records; those that cannot be read are passed over and told of.
    pub(super) fn read(&self) -> Vec<Record> {
        let Ok(entries) = fs::read_dir(&self.directory) else { return Vec::new() };
        let mut records = Vec::new();
        for entry in entries.flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') || !name.ends_with(ENDING) {
                continue;
            }
            match fs::read(&path).ok().and_then(|bytes| Record::parse(&bytes)) {
                Some(record) => records.push(record),
                None => say(format_args!("{}: not a record of a lease", path.display())),
            }
        }
        records
    }

    pub(super) fn write(&self, subject: &Subject, record: &Record) -> Result<(), String> {
        self.file(subject).write(&record.to_json()).map_err(|error| error.to_string())
    }

    pub(super) fn remove(&self, subject: &Subject) {
        if let Err(error) = self.file(subject).remove() {
            say(format_args!("{subject}: {error}"));
        }
    }

    /// Container ids and network names may be longer together than a file's name.
    fn file(&self, subject: &Subject) -> StateFile {
        let digest = Sha256::digest(subject.to_string());
        StateFile::new(&self.directory, &format!("{}{ENDING}", hex(&digest)), "daemon")
    }
}

impl Record {
    fn to_json(&self) -> String {
        let arguments = &self.arguments;
        let mut record = json!({
            "containerId": arguments.container,
            "netns": arguments.netns,
            "ifName": arguments.interface,
            "args": arguments.args,
            "path": arguments.path,
            "configuration": String::from_utf8_lossy(&arguments.configuration),
            "address": self.grant.address().to_string(),
            "begun": milliseconds(self.begun),
            "broadcast": self.broadcast,
        });
        let since = match &self.grant {
            Grant::V4(grant) => {
                record["acknowledgement"] = hex(&grant.acknowledgement.to_bytes()).into();
                record["station"] = grant.station.to_string().into();
                grant.since
            }
            Grant::V6(grant) => {
                record["reply"] = hex(&grant.reply.to_bytes()).into();
                grant.since
            }
        };
        record["since"] = milliseconds(since).into();
        format!("{record:#}\n")
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let record: Value = serde_json::from_slice(bytes).ok()?;
        let text = |key: &str| record[key].as_str().map(str::to_owned);
        let time = |key: &str| record[key].as_u64().map(Duration::from_millis);
        let since = time("since")?;
        let grant = match text("reply") {
            None => {
                let message = v4::Message::parse(&unhex(&text("acknowledgement")?)?).ok()?;
                Grant::V4(v4::Grant::new(message, text("station")?.parse().ok()?, since)?)
            }
            Some(reply) => {
                let message = v6::Message::parse(&unhex(&reply)?).ok()?;
                Grant::V6(v6::Grant::new(message, since)?)
            }
        };
        Some(Self {
            arguments: Arguments {
                container: text("containerId")?,
                netns: text("netns")?,
                interface: text("ifName")?,
                args: text("args")?,
                path: text("path")?,
                configuration: text("configuration")?.into_bytes(),
            },
            grant,
            broadcast: record["broadcast"].as_bool()?,
            begun: time("begun")?,
        })
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or_default()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    text.as_bytes().chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::super::attachment::Name;
    use super::*;
    use ropewalk_addr::Family;
    use ropewalk_dhcp::{Kind, Message, option};

    #[test]
    fn records_are_read_as_they_were_written_and_damaged_ones_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let book = Book::new(&directory.path().join("leases"));
        assert_eq!(book.read(), []);
        let mut message = Message::request(Kind::Ack, 7, "02:00:00:00:00:01".parse().unwrap());
        message.is_reply = true;
        message.your_address = [10, 1, 0, 5].into();
        message.options.set(option::SERVER_IDENTIFIER, [10, 1, 0, 1]);
        let station = "02:00:00:00:00:09".parse().unwrap();
        let record = Record {
            arguments: Arguments {
                container: "c1".to_owned(),
                netns: "/run/netns/c1".to_owned(),
                interface: "eth0".to_owned(),
                configuration: br#"{"name": "lan"}"#.to_vec(),
                ..Arguments::default()
            },
            grant: Grant::V4(
                v4::Grant::new(message, station, Duration::from_millis(1_234)).unwrap(),
            ),
            broadcast: true,
            begun: Duration::from_secs(1),
        };
        let name = |container: &str| Subject {
            name: Name {
                container: container.to_owned(),
                network: "lan".to_owned(),
                interface: "eth0".to_owned(),
            },
            family: Family::V4,
        };
        book.write(&name("c1"), &record).unwrap();
        book.write(&name("c2"), &record).unwrap();
        assert_eq!(book.read(), [record.clone(), record.clone()]);
        fs::write(book.file(&name("c2")).path(), "{}").unwrap();
        assert_eq!(book.read(), [record]);
        book.remove(&name("c1"));
        assert_eq!(book.read(), []);
    }

    #[test]
    fn leases_of_both_families_are_kept_apart() {
        let directory = tempfile::tempdir().unwrap();
        let book = Book::new(directory.path());
        let mut reply = v6::Message::new(v6::Kind::Reply, 7);
        let address = "fd00:9::5".parse::<std::net::Ipv6Addr>().unwrap();
        let lease = [&[0, 5, 0, 24], address.octets().as_slice(), &[1; 8]].concat();
        reply.options.push(v6::option::CLIENT_IDENTIFIER, [0, 3, 0, 1]);
        reply.options.push(v6::option::SERVER_IDENTIFIER, [0, 3, 0, 2]);
        reply.options.push(v6::option::IA_NA, [[0; 12].as_slice(), &lease].concat());
        let record = Record {
            arguments: Arguments::default(),
            grant: Grant::V6(v6::Grant::new(reply, Duration::from_millis(1_234)).unwrap()),
            broadcast: false,
            begun: Duration::from_secs(1),
        };
        let [container, network, interface] = ["c1", "lan", "eth0"].map(str::to_owned);
        let name = Name { container, network, interface };
        let [four, six] =
            [Family::V4, Family::V6].map(|family| Subject { name: name.clone(), family });
        book.write(&six, &record).unwrap();
        book.remove(&four);
        assert_eq!(book.read(), [record]);
        book.remove(&six);
        assert_eq!(book.read(), []);
    }
}
