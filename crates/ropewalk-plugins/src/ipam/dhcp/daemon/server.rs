//! The socket: connections and the calls on them, each turned into an order for the keeper.

use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder},
    io::{self, Read, Write},
    os::unix::{
        fs::DirBuilderExt,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    thread,
};

use ropewalk_cni::{CniResult, valid_attachments};
use ropewalk_dhcp::rpc::{
    ALLOCATE, Arguments, COLLECT, CONFIRM, Call, Callee, HELLO, RELEASE, UNKNOWN_METHOD, WELCOME,
};
use ropewalk_linux::{io_reason, is_peer_trusted, sockets_handed_over, take_handed_over};

use super::{
    super::result,
    attachment::{self, Attachment, Name, Subject},
    farewell::Farewell,
    keeper::{Answer, Order, Orders},
    link, say,
};

/// A connection that has not opened with this many bytes never will.
const LONGEST_OPENING: usize = 4096;

/// The socket that plugins connect to.
#[derive(Debug)]
pub(super) struct Socket {
    listener: UnixListener,
    /// Where it is; `None` for one that somebody else has opened.
    path: Option<PathBuf>,
}

impl Socket {
    /// Takes over the socket that was opened for us, else opens one.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        match sockets_handed_over() {
            0 => {}
            1 => {
                let listener = take_handed_over().ok_or("LISTEN_FDS=1 but no FD found")?;
                return Ok(Self { listener, path: None });
            }
            count => {
                return Err(format!("Too many ({count}) FDs passed through socket activation"));
            }
        }
        let failed = |error: io::Error| {
            format!("Error getting listener: listen unix {}: {}", path.display(), io_reason(&error))
        };
        if let Some(directory) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        }
        let listener = UnixListener::bind(path).or_else(|error| {
            // What a daemon that crashed has left refuses connections, and is in the way.
            let is_left_over = error.kind() == io::ErrorKind::AddrInUse
                && UnixStream::connect(path)
                    .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
            if !is_left_over {
                return Err(error);
            }
            fs::remove_file(path)?;
            UnixListener::bind(path)
        });
        Ok(Self { listener: listener.map_err(failed)?, path: Some(path.to_owned()) })
    }

    /// Serves connections from now on, each in a thread of its own.
    pub(super) fn serve(&self, orders: Orders, host_prefix: PathBuf) {
        let listener = match self.listener.try_clone() {
            Ok(listener) => listener,
            Err(error) => return say(format_args!("cannot listen: {error}")),
        };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Whoever may ask for a lease has us enter namespaces and send packets there.
                if !is_peer_trusted(&stream) {
                    say(format_args!("a process that is not root was turned away"));
                    continue;
                }
                let desk = Desk { orders: orders.clone(), host_prefix: host_prefix.clone() };
                thread::spawn(move || desk.serve(stream));
            }
        });
    }

    /// Removes the socket's file, if it is ours.
    pub(super) fn remove(&self) {
        if let Some(path) = &self.path {
            // A daemon that is started next replaces it.
            let _ = fs::remove_file(path);
        }
    }
}

/// One connection.
struct Desk {
    orders: Orders,
    host_prefix: PathBuf,
}

impl Desk {
    /// Serves a connection to its end; who does not speak our protocol is not answered.
    fn serve(&self, mut stream: UnixStream) {
        let mut opening = Vec::new();
        let Some(rest) = read_opening(&mut stream, &mut opening) else { return };
        let mut callee = Callee::default();
        callee.push(rest);
        let mut buffer = [0; 4096];
        loop {
            match callee.next_call() {
                Err(_) => return,
                Ok(Some(call)) => {
                    let answer = match self.answer(&call) {
                        Ok(Some(result)) => callee.answer(&call, Some(&result::write(&result))),
                        Ok(None) => callee.answer(&call, None),
                        Err(error) => callee.refuse(&call, &error),
                    };
                    if stream.write_all(&answer).is_err() {
                        return;
                    }
                }
                Ok(None) => match stream.read(&mut buffer) {
                    Ok(0) => return,
                    Ok(length) => callee.push(&buffer[..length]),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => return,
                },
            }
        }
    }

    fn answer(&self, call: &Call) -> Result<Option<CniResult>, String> {
        let arguments = &call.arguments;
        match call.method.as_str() {
            ALLOCATE => self.allocate(arguments),
            CONFIRM => self.confirm(arguments),
            RELEASE => self.end(Order::Release(name(arguments)?)),
            COLLECT => self.collect(arguments),
            other => Err(format!("{UNKNOWN_METHOD}{other}")),
        }
    }

    fn allocate(&self, arguments: &Arguments) -> Result<Option<CniResult>, String> {
        let attachment = self.attachment(arguments)?;
        let mut whole = CniResult::default();
        for family in &attachment.config.families {
            let lease = link::take_seat(&attachment, *family)
                .and_then(|seat| self.result(Order::Lease(Box::new((attachment.clone(), seat)))));
            match lease {
                Ok(part) => result::add(&mut whole, part),
                Err(reason) => {
                    // Who gets an error has no lease.
                    if !whole.ips.is_empty() {
                        self.end(Order::Release(attachment.name.clone()))?;
                    }
                    return Err(reason);
                }
            }
        }
        Ok(Some(whole))
    }

    fn confirm(&self, arguments: &Arguments) -> Result<Option<CniResult>, String> {
        let Attachment { name, config, .. } = self.attachment(arguments)?;
        let mut whole = CniResult::default();
        for family in config.families {
            let subject = Subject { name: name.clone(), family };
            result::add(&mut whole, self.result(Order::Confirm(subject))?);
        }
        Ok(Some(whole))
    }

    fn attachment(&self, arguments: &Arguments) -> Result<Attachment, String> {
        let attachment = Attachment::of(arguments.clone(), &self.host_prefix);
        attachment.map_err(|error| error.to_string())
    }

    /// Gives an order that has a result.
    fn result(&self, order: Order) -> Result<CniResult, String> {
        match self.orders.give(order)? {
            Answer::Result(result) => Ok(result),
            Answer::Ended(_) => Err("the lease has ended".to_owned()),
        }
    }

    /// Gives an order that ends leases. The plugin is told when the servers have been: the next
    /// thing that happens may be that the links vanish.
    fn end(&self, order: Order) -> Result<Option<CniResult>, String> {
        if let Answer::Ended(farewells) = self.orders.give(order)? {
            farewells.iter().for_each(Farewell::say);
        }
        Ok(None)
    }

    fn collect(&self, arguments: &Arguments) -> Result<Option<CniResult>, String> {
        let failed = |error: ropewalk_cni::CniError| error.to_string();
        let raw = attachment::configuration(arguments).map_err(failed)?;
        let network = attachment::name(&raw, arguments).map_err(failed)?.network;
        let Some(valid) = valid_attachments(&raw).map_err(failed)? else { return Ok(None) };
        let name = |id: ropewalk_cni::AttachmentId| Name {
            container: id.container_id,
            network: network.clone(),
            interface: id.ifname,
        };
        let until = valid.until;
        let valid: BTreeSet<Name> = valid.attachments.into_iter().map(name).collect();
        self.end(Order::Collect { network: network.clone(), valid, until })
    }
}

fn name(arguments: &Arguments) -> Result<Name, String> {
    let raw = attachment::configuration(arguments);
    let name = raw.and_then(|raw| attachment::name(&raw, arguments));
    name.map_err(|error| error.to_string())
}

/// Reads the HTTP request that opens a connection and answers it; what came behind it is returned.
fn read_opening<'a>(stream: &mut UnixStream, bytes: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    const ENDS: [&[u8]; 2] = [b"\n\n", b"\r\n\r\n"];
    let mut buffer = [0; 1024];
    let end = loop {
        let end = |end: &&[u8]| {
            let position = bytes.windows(end.len()).position(|window| *window == **end);
            position.map(|position| position + end.len())
        };
        if let Some(end) = ENDS.iter().find_map(end) {
            break end;
        }
        let length = stream.read(&mut buffer).ok().filter(|length| *length > 0)?;
        bytes.extend_from_slice(&buffer[..length]);
        if bytes.len() > LONGEST_OPENING {
            return None;
        }
    };
    let request = HELLO.trim_end();
    let line = request.rsplit_once(' ').map_or(request, |(line, _)| line);
    if !bytes.starts_with(line.as_bytes()) {
        return None;
    }
    stream.write_all(WELCOME.as_bytes()).ok()?;
    Some(&bytes[end..])
}
