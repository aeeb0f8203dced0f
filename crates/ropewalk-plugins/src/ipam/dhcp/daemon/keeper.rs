//! The keeper of all leases: one loop that waits for the network, for deadlines and for orders.

use std::{
    collections::{BTreeMap, BTreeSet, hash_map::RandomState},
    hash::{BuildHasher, Hasher},
    io::{Read, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use ropewalk_cni::CniResult;
use ropewalk_dhcp::{Client, Datagram, Event, Identity, Message, Pace, Transmission};
use ropewalk_linux::{Hears, PacketSocket, wait_for_input};

use super::{
    super::result,
    attachment::{Attachment, Name},
    book::{Book, Record},
    farewell::Farewell,
    flags::Options,
    link::{self, Seat},
    say,
};

/// How many frames are heard at one link before it is the turn of the others: whoever is in a
/// container can send as many as they like.
const MOST_FRAMES: usize = 32;

/// Something that a plugin wants.
pub(super) enum Order {
    /// A lease for an attachment, whose link is ready.
    Lease(Box<(Attachment, Seat)>),
    /// Whether there is a lease, and which.
    Confirm(Name),
    /// An end to a lease, if there is one.
    Release(Name),
    /// An end to all leases of a network but these, and those that were begun later.
    Collect { network: String, valid: BTreeSet<Name>, until: Option<Duration> },
}

/// What comes of it.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// What the lease means for the container.
    Result(CniResult),
    /// Leases have ended; the servers are still to be told.
    Ended(Vec<Farewell>),
}

type Reply = Result<Answer, String>;

/// Where orders are given.
#[derive(Clone)]
pub(super) struct Orders {
    sender: Sender<(Order, Sender<Reply>)>,
    bell: Arc<UnixStream>,
}

impl Orders {
    /// Gives an order and waits for its answer.
    pub(super) fn give(&self, order: Order) -> Reply {
        let (sender, answer) = mpsc::channel();
        let ended = || "the daemon is ending".to_owned();
        self.sender.send((order, sender)).map_err(|_| ended())?;
        // A bell that rings already is as good.
        let _ = (&*self.bell).write(&[1]);
        answer.recv().map_err(|_| ended())?
    }
}

/// A lease, or the search for one.
struct Holding {
    attachment: Attachment,
    identity: Identity,
    client: Client,
    /// When the first lease was asked for.
    begun: Duration,
    socket: Option<PacketSocket>,
    /// Until when an answer is waited for. A socket keeps its namespace from vanishing, so it must
    /// not stay open for as long as a lease lasts.
    listening_until: Duration,
    waiting: Vec<Sender<Reply>>,
}

/// The keeper.
pub(super) struct Keeper {
    orders: Receiver<(Order, Sender<Reply>)>,
    bell: UnixStream,
    book: Book,
    clock: Clock,
    pace: Pace,
    broadcast: bool,
    holdings: BTreeMap<Name, Holding>,
}

/// A clock that never goes back, and goes on where that of an earlier daemon stopped.
#[derive(Clone, Copy)]
struct Clock {
    start: Instant,
    at_start: Duration,
}

impl Clock {
    fn new() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: Instant::now(), at_start: since_epoch }
    }

    fn now(&self) -> Duration {
        self.at_start + self.start.elapsed()
    }
}

impl Keeper {
    /// A keeper of the leases that an earlier daemon has left.
    pub(super) fn new(options: &Options, book: Book) -> Result<(Self, Orders), String> {
        let (sender, orders) = mpsc::channel();
        let pair = UnixStream::pair().and_then(|(bell, ear)| {
            bell.set_nonblocking(true)?;
            ear.set_nonblocking(true)?;
            Ok((bell, ear))
        });
        let (bell, ear) =
            pair.map_err(|error| format!("cannot make a pair of sockets: {error}"))?;
        let mut keeper = Self {
            orders,
            bell: ear,
            book,
            clock: Clock::new(),
            pace: options.pace,
            broadcast: options.broadcast,
            holdings: BTreeMap::new(),
        };
        for record in keeper.book.read() {
            keeper.resume(record, options);
        }
        Ok((keeper, Orders { sender, bell: Arc::new(bell) }))
    }

    /// Keeps leases from now on, in a thread of its own.
    pub(super) fn start(mut self) {
        thread::spawn(move || {
            loop {
                self.take_orders();
                self.hear();
                self.wake();
                self.wait();
            }
        });
    }

    fn resume(&mut self, record: Record, options: &Options) {
        let Record { arguments, grant, broadcast, begun } = record;
        let attachment = match Attachment::of(arguments, &options.host_prefix) {
            Ok(attachment) => attachment,
            Err(error) => return say(format_args!("lease of {}: {error}", grant.lease.address)),
        };
        let identity = attachment.identity_of(grant.acknowledgement.hardware, broadcast);
        let name = attachment.name.clone();
        say(format_args!("{name}: still has {}", grant.lease.address));
        let mut holding = Holding::new(attachment, identity, self.pace, begun);
        let transmission = holding.client.resume(self.clock.now(), grant);
        self.holdings.insert(name.clone(), holding);
        self.follow(&name, transmission);
    }

    fn take_orders(&mut self) {
        while let Ok((order, answer)) = self.orders.try_recv() {
            match order {
                Order::Lease(subject) => {
                    let (attachment, seat) = *subject;
                    self.lease(attachment, seat, answer);
                }
                Order::Confirm(name) => reply(&answer, self.held(&name)),
                Order::Release(name) => {
                    let farewell = self.release(&name).into_iter();
                    reply(&answer, Ok(Answer::Ended(farewell.collect())));
                }
                Order::Collect { network, valid, until } => {
                    let is_invalid = |(name, holding): &(&Name, &Holding)| {
                        name.network == network
                            && !valid.contains(*name)
                            && until.is_none_or(|until| holding.begun < until)
                    };
                    let invalid = self.holdings.iter().filter(is_invalid);
                    let invalid: Vec<Name> = invalid.map(|(name, _)| name.clone()).collect();
                    let farewells = invalid.iter().filter_map(|name| self.release(name));
                    reply(&answer, Ok(Answer::Ended(farewells.collect())));
                }
            }
        }
    }

    /// A lease that is there is the answer to a second request, which may come from another
    /// namespace: some runtimes name them by process. One of an earlier container of the same name,
    /// which nobody has told us is gone, is given back.
    fn lease(&mut self, attachment: Attachment, seat: Seat, answer: Sender<Reply>) {
        let name = attachment.name.clone();
        let identity = attachment.identity(&seat, self.broadcast);
        match self.holdings.get_mut(&name) {
            Some(holding) if holding.identity == identity => {
                holding.attachment = attachment;
                if holding.client.grant().is_some() {
                    holding.write_to(&self.book);
                    return reply(&answer, self.held(&name));
                }
                holding.socket = Some(seat.socket);
                return holding.waiting.push(answer);
            }
            Some(_) => self.release(&name).into_iter().for_each(Farewell::say_apart),
            None => {}
        }
        say(format_args!("{name}: acquiring lease"));
        let now = self.clock.now();
        let mut holding = Holding::new(attachment, identity, self.pace, now);
        holding.socket = Some(seat.socket);
        holding.waiting.push(answer);
        let transmission = holding.client.start(now);
        self.holdings.insert(name.clone(), holding);
        self.follow(&name, transmission);
    }

    fn held(&self, name: &Name) -> Reply {
        let holding = self.holdings.get(name);
        let grant = holding.and_then(|holding| Some((holding, holding.client.grant()?)));
        let (holding, grant) = grant.ok_or_else(|| format!("no lease is held for {name}"))?;
        result::of_lease(&grant.lease, &holding.attachment.config).map(Answer::Result)
    }

    /// Ends a lease; nothing is fine.
    fn release(&mut self, name: &Name) -> Option<Farewell> {
        let mut holding = self.holdings.remove(name)?;
        say(format_args!("{name}: releasing lease"));
        self.book.remove(name);
        holding.answer(&Err("the lease was released".to_owned()));
        holding.farewell(self.clock.now())
    }

    /// Hears what servers have to say.
    fn hear(&mut self) {
        let mut buffer = [0; 2048];
        let names: Vec<Name> = self.holdings.keys().cloned().collect();
        for name in names {
            for _ in 0..MOST_FRAMES {
                let Some(holding) = self.holdings.get_mut(&name) else { break };
                let Some(socket) = &holding.socket else { break };
                let Some(frame) = socket.receive(&mut buffer) else { break };
                let Some(datagram) = Datagram::parse(frame) else { continue };
                let Ok(message) = Message::parse(datagram.payload) else { continue };
                let now = self.clock.now();
                let transmission = holding.client.receive(now, datagram.station, &message);
                self.follow(&name, transmission);
            }
        }
    }

    /// Does what is due.
    fn wake(&mut self) {
        let now = self.clock.now();
        let names: Vec<Name> = self.holdings.keys().cloned().collect();
        for name in names {
            let Some(holding) = self.holdings.get_mut(&name) else { continue };
            if holding.listening_until <= now {
                holding.socket = None;
            }
            let transmission = holding.client.wake(now);
            self.follow(&name, transmission);
        }
    }

    /// Waits until there is something to do.
    fn wait(&mut self) {
        let now = self.clock.now();
        let next = self.holdings.values().filter_map(Holding::deadline).min();
        let time = next.map(|next| next.saturating_sub(now));
        let sockets = self.holdings.values().filter_map(|holding| holding.socket.as_ref());
        let mut sources: Vec<BorrowedFd<'_>> = sockets.map(AsFd::as_fd).collect();
        sources.push(self.bell.as_fd());
        if let Err(error) = wait_for_input(&sources, time) {
            say(error);
        }
        let mut rung = [0; 64];
        while (&self.bell).read(&mut rung).is_ok_and(|length| length > 0) {}
    }

    /// Does what follows from an event.
    fn follow(&mut self, name: &Name, transmission: Transmission) {
        let now = self.clock.now();
        let Some(holding) = self.holdings.get_mut(name) else { return };
        if let Some(frame) = transmission.frame {
            holding.send(now, self.pace.patience, &frame);
        }
        match transmission.event {
            None => {}
            Some(Event::Granted) => self.granted(name),
            Some(Event::GaveUp) => self.end(name, "no more tries"),
            Some(Event::Refused) => self.lost(name, "the server refused to renew the lease"),
            Some(Event::Expired) => self.lost(name, "the lease has expired"),
        }
    }

    fn granted(&mut self, name: &Name) {
        let now = self.clock.now();
        let Some(holding) = self.holdings.get_mut(name) else { return };
        holding.socket = None;
        let Some(grant) = holding.client.grant() else { return };
        if holding.waiting.is_empty() {
            say(format_args!("{name}: lease of {} renewed", grant.lease.address));
        } else {
            let time = now.saturating_sub(holding.begun).as_millis();
            say(format_args!("{name}: lease of {} granted after {time} ms", grant.lease.address));
        }
        let result = result::of_lease(&grant.lease, &holding.attachment.config);
        holding.write_to(&self.book);
        match result {
            Ok(result) => holding.answer(&Ok(Answer::Result(result))),
            Err(reason) => {
                holding.farewell(now).into_iter().for_each(Farewell::say_apart);
                self.end(name, &reason);
            }
        }
    }

    /// The address must not be used any more.
    fn lost(&mut self, name: &Name, reason: &str) {
        if let Some(holding) = self.holdings.get(name)
            && let Some(grant) = holding.client.grant()
        {
            let Attachment { netns, interface, .. } = &holding.attachment;
            if let Err(error) = link::withdraw(netns, interface, &grant.lease) {
                say(format_args!("{name}: {error}"));
            }
        }
        self.end(name, reason);
    }

    /// Forgets a lease, or the search for one.
    fn end(&mut self, name: &Name, reason: &str) {
        say(format_args!("{name}: {reason}"));
        self.book.remove(name);
        if let Some(mut holding) = self.holdings.remove(name) {
            holding.answer(&Err(reason.to_owned()));
        }
    }
}

impl Holding {
    fn new(attachment: Attachment, identity: Identity, pace: Pace, begun: Duration) -> Self {
        Self {
            attachment,
            client: Client::new(identity.clone(), pace, seed()),
            identity,
            begun,
            socket: None,
            listening_until: Duration::ZERO,
            waiting: Vec::new(),
        }
    }

    /// When there is something to do.
    fn deadline(&self) -> Option<Duration> {
        let silence = self.socket.as_ref().map(|_| self.listening_until);
        self.client.deadline().into_iter().chain(silence).min()
    }

    /// Sends a frame and listens for what comes of it. What cannot be sent now will be repeated.
    fn send(&mut self, now: Duration, patience: Duration, frame: &[u8]) {
        self.listening_until = now + patience;
        let Attachment { netns, interface, name, .. } = &self.attachment;
        if self.socket.as_ref().is_none_or(|socket| socket.send(frame).is_err()) {
            let socket = link::listen(netns, interface, Hears::DhcpAnswers).and_then(|socket| {
                socket.send(frame).map(|()| socket).map_err(|error| error.to_string())
            });
            self.socket = socket.inspect_err(|reason| say(format_args!("{name}: {reason}"))).ok();
        }
    }

    /// What is to be told to the server at the end.
    fn farewell(&mut self, now: Duration) -> Option<Farewell> {
        let release = self.client.release(now)?;
        let Attachment { netns, interface, .. } = &self.attachment;
        Some(Farewell { netns: netns.clone(), interface: interface.clone(), release })
    }

    /// Writes the lease down. If that fails, the container can be used all the same; only the next
    /// daemon will not know of it.
    fn write_to(&self, book: &Book) {
        let Attachment { name, arguments, .. } = &self.attachment;
        let Some(grant) = self.client.grant().cloned() else { return };
        let (arguments, broadcast) = (arguments.clone(), self.identity.broadcast);
        let record = Record { arguments, grant, broadcast, begun: self.begun };
        if let Err(error) = book.write(name, &record) {
            say(format_args!("{name}: {error}"));
        }
    }

    fn answer(&mut self, answer: &Reply) {
        for waiting in self.waiting.drain(..) {
            reply(&waiting, answer.clone());
        }
    }
}

fn reply(waiting: &Sender<Reply>, answer: Reply) {
    // Whoever has hung up will ask again.
    let _ = waiting.send(answer);
}

/// A number that nobody can foresee.
fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}
