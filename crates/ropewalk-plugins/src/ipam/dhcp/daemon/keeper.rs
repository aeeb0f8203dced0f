//! The keeper of all leases: one loop that waits for the network, for deadlines and for orders.

use std::{
    collections::{BTreeMap, BTreeSet},
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

use ropewalk_addr::Family;
use ropewalk_cni::CniResult;
use ropewalk_dhcp::{Event, Pace, Transmission};
use ropewalk_linux::wait_for_input;

use super::{
    attachment::{Attachment, Name, Subject},
    book::{Book, Record},
    client::{Client, Socket},
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
    Confirm(Subject),
    /// An end to the leases of an attachment, if there are some.
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
    family: Family,
    client: Client,
    /// When the first lease was asked for.
    begun: Duration,
    socket: Option<Socket>,
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
    holdings: BTreeMap<Subject, Holding>,
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
            Err(error) => return say(format_args!("lease of {}: {error}", grant.address())),
        };
        let family = Family::of(grant.address());
        let subject = Subject { name: attachment.name.clone(), family };
        say(format_args!("{subject}: still has {}", grant.address()));
        let now = self.clock.now();
        let (client, transmission) = Client::resume(&attachment, grant, broadcast, self.pace, now);
        self.holdings.insert(subject.clone(), Holding::new(attachment, family, client, begun));
        self.follow(&subject, transmission);
    }

    fn take_orders(&mut self) {
        while let Ok((order, answer)) = self.orders.try_recv() {
            match order {
                Order::Lease(subject) => {
                    let (attachment, seat) = *subject;
                    self.lease(attachment, seat, answer);
                }
                Order::Confirm(subject) => reply(&answer, self.held(&subject)),
                Order::Release(name) => {
                    let farewells = self.release_all(|subject, _| subject.name == name);
                    reply(&answer, Ok(Answer::Ended(farewells)));
                }
                Order::Collect { network, valid, until } => {
                    let farewells = self.release_all(|Subject { name, .. }, holding| {
                        name.network == network
                            && !valid.contains(name)
                            && until.is_none_or(|until| holding.begun < until)
                    });
                    reply(&answer, Ok(Answer::Ended(farewells)));
                }
            }
        }
    }

    /// A lease that is there is the answer to a second request, which may come from another
    /// namespace: some runtimes name them by process. One of an earlier container of the same name,
    /// which nobody has told us is gone, is given back.
    fn lease(&mut self, attachment: Attachment, seat: Seat, answer: Sender<Reply>) {
        let subject = Subject { name: attachment.name.clone(), family: seat.family };
        match self.holdings.get_mut(&subject) {
            Some(holding) if holding.client.belongs_to(&attachment, &seat, self.broadcast) => {
                holding.attachment = attachment;
                if holding.client.grant().is_some() {
                    holding.write_to(&self.book);
                    return reply(&answer, self.held(&subject));
                }
                holding.socket = seat.socket;
                return holding.waiting.push(answer);
            }
            Some(_) => self.release(&subject).into_iter().for_each(Farewell::say_apart),
            None => {}
        }
        say(format_args!("{subject}: acquiring lease"));
        let now = self.clock.now();
        let client = Client::new(&attachment, &seat, self.pace, self.broadcast);
        let mut holding = Holding::new(attachment, seat.family, client, now);
        holding.socket = seat.socket;
        holding.waiting.push(answer);
        let transmission = holding.client.start(now);
        self.holdings.insert(subject.clone(), holding);
        self.follow(&subject, transmission);
    }

    fn held(&self, subject: &Subject) -> Reply {
        let holding = self.holdings.get(subject);
        let grant = holding.and_then(|holding| Some((holding, holding.client.grant()?)));
        let (holding, grant) = grant.ok_or_else(|| format!("no lease is held for {subject}"))?;
        grant.result(&holding.attachment.config).map(Answer::Result)
    }

    fn release_all(&mut self, ends: impl Fn(&Subject, &Holding) -> bool) -> Vec<Farewell> {
        let ending = self.holdings.iter().filter(|(subject, holding)| ends(subject, holding));
        let ending: Vec<Subject> = ending.map(|(subject, _)| subject.clone()).collect();
        ending.iter().filter_map(|subject| self.release(subject)).collect()
    }

    /// Ends a lease; nothing is fine.
    fn release(&mut self, subject: &Subject) -> Option<Farewell> {
        let mut holding = self.holdings.remove(subject)?;
        say(format_args!("{subject}: releasing lease"));
        self.book.remove(subject);
        holding.answer(&Err("the lease was released".to_owned()));
        holding.farewell(self.clock.now())
    }

    /// Hears what servers have to say.
    fn hear(&mut self) {
        let mut buffer = [0; 2048];
        let subjects: Vec<Subject> = self.holdings.keys().cloned().collect();
        for subject in subjects {
            for _ in 0..MOST_FRAMES {
                let Some(holding) = self.holdings.get_mut(&subject) else { break };
                let Some(socket) = &holding.socket else { break };
                let Some(bytes) = socket.receive(&mut buffer) else { break };
                let transmission = holding.client.receive(self.clock.now(), bytes);
                self.follow(&subject, transmission.unwrap_or_default());
            }
        }
    }

    /// Does what is due.
    fn wake(&mut self) {
        let now = self.clock.now();
        let subjects: Vec<Subject> = self.holdings.keys().cloned().collect();
        for subject in subjects {
            let Some(holding) = self.holdings.get_mut(&subject) else { continue };
            if holding.listening_until <= now {
                holding.socket = None;
            }
            let transmission = holding.client.wake(now);
            self.follow(&subject, transmission);
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
    fn follow(&mut self, subject: &Subject, transmission: Transmission) {
        let now = self.clock.now();
        let Some(holding) = self.holdings.get_mut(subject) else { return };
        if let Some(frame) = transmission.frame {
            holding.send(now, self.pace.patience, &frame);
        }
        match transmission.event {
            None => {}
            Some(Event::Granted) => self.granted(subject),
            Some(Event::GaveUp) => self.end(subject, "no more tries"),
            Some(Event::Refused) => self.lost(subject, "the server refused to renew the lease"),
            Some(Event::Expired) => self.lost(subject, "the lease has expired"),
        }
    }

    fn granted(&mut self, subject: &Subject) {
        let now = self.clock.now();
        let Some(holding) = self.holdings.get_mut(subject) else { return };
        holding.socket = None;
        let Some(grant) = holding.client.grant() else { return };
        if holding.waiting.is_empty() {
            say(format_args!("{subject}: lease of {} renewed", grant.address()));
        } else {
            let time = now.saturating_sub(holding.begun).as_millis();
            say(format_args!("{subject}: lease of {} granted after {time} ms", grant.address()));
        }
        let result = grant.result(&holding.attachment.config);
        holding.write_to(&self.book);
        match result {
            Ok(result) => holding.answer(&Ok(Answer::Result(result))),
            Err(reason) => {
                holding.farewell(now).into_iter().for_each(Farewell::say_apart);
                self.end(subject, &reason);
            }
        }
    }

    /// The address must not be used any more.
    fn lost(&mut self, subject: &Subject, reason: &str) {
        if let Some(holding) = self.holdings.get(subject)
            && let Some(grant) = holding.client.grant()
            && let Err(error) = link::withdraw(&holding.attachment, &grant)
        {
            say(format_args!("{subject}: {error}"));
        }
        self.end(subject, reason);
    }

    /// Forgets a lease, or the search for one.
    fn end(&mut self, subject: &Subject, reason: &str) {
        say(format_args!("{subject}: {reason}"));
        self.book.remove(subject);
        if let Some(mut holding) = self.holdings.remove(subject) {
            holding.answer(&Err(reason.to_owned()));
        }
    }
}

impl Holding {
    fn new(attachment: Attachment, family: Family, client: Client, begun: Duration) -> Self {
        Self {
            attachment,
            family,
            client,
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

    /// Sends a message and listens for what comes of it. What cannot be sent now will be repeated.
    fn send(&mut self, now: Duration, patience: Duration, message: &[u8]) {
        self.listening_until = now + patience;
        let Attachment { netns, interface, name, .. } = &self.attachment;
        if self.socket.as_ref().is_none_or(|socket| socket.send(message).is_err()) {
            // Its port has to be free for the next one.
            self.socket = None;
            let socket = Socket::open(netns, interface, self.family)
                .and_then(|socket| socket.send(message).map(|()| socket));
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
        let Some(grant) = self.client.grant() else { return };
        let subject = Subject { name: name.clone(), family: self.family };
        let (arguments, broadcast) = (arguments.clone(), self.client.is_broadcast());
        let record = Record { arguments, grant, broadcast, begun: self.begun };
        if let Err(error) = book.write(&subject, &record) {
            say(format_args!("{subject}: {error}"));
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
