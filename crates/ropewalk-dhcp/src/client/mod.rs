//! The states of a client: figure 5 of RFC 2131 as a type. Events come in with the time at which
//! they happened; a frame to send and a deadline come out.
//!
//! ```text
//!   INIT ──discover──► SELECTING ──offer──► REQUESTING ──ack──► BOUND ◄──ack──┐
//!     ▲                                          │                │ T1         │
//!     └──────────────nak, decline────────────────┘                ▼            │
//!                                                             RENEWING ────────┤
//!   (a lease from before) ──► REBOOTING ──ack──► BOUND            │ T2         │
//!                                                                 ▼            │
//!   the address is lost ◄──nak, end of the lease───────────── REBINDING ───────┘
//! ```

mod messages;
mod release;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;
use core::time::Duration;

pub use release::Release;

use ropewalk_addr::Mac;

use crate::{
    lease::Lease,
    message::{Kind, Message},
    options::Options,
    random::Random,
};

/// Who a client is and what it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its hardware address.
    pub hardware: Mac,
    /// Whether answers must be sent to everybody, because several clients share the hardware
    /// address and unicast finds one of them only.
    pub broadcast: bool,
    /// The options of its messages, its identifier among them.
    pub options: Options,
    /// The options that it asks for.
    pub wanted: Vec<u8>,
}

/// How often it asks and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The pause before the first repetition; each further one is twice as long.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// How long an offer is pursued before it looks for another one.
    pub patience: Duration,
    /// How long it looks for an address at all.
    pub limit: Duration,
}

impl Default for Pace {
    /// A server answers within milliseconds, and what is lost at first is lost because the link has
    /// only just come up: the first repetition comes soon. The other times are the reference
    /// daemon's.
    fn default() -> Self {
        Self {
            first: Duration::from_millis(50),
            longest: Duration::from_secs(62),
            patience: Duration::from_secs(10),
            limit: Duration::from_secs(208),
        }
    }
}

/// Where a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Without an address, not looking for one until the deadline, or ever.
    Init,
    /// Waiting for offers.
    Selecting,
    /// Waiting for what was offered to be granted.
    Requesting,
    /// Waiting for an old lease to be confirmed.
    Rebooting,
    /// Having a lease.
    Bound,
    /// Asking the server to renew the lease.
    Renewing,
    /// Asking any server.
    Rebinding,
}

/// What became of the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was granted, for the first time or once more.
    Granted,
    /// It must not be used any more: a server said so.
    Refused,
    /// It must not be used any more: the lease has ended.
    Expired,
    /// No server gave one.
    GaveUp,
}

/// What follows from something that happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transmission {
    /// An Ethernet frame to send.
    pub frame: Option<Vec<u8>>,
    /// What to know.
    pub event: Option<Event>,
}

impl From<Vec<u8>> for Transmission {
    fn from(frame: Vec<u8>) -> Self {
        Self { frame: Some(frame), event: None }
    }
}

impl From<Event> for Transmission {
    fn from(event: Event) -> Self {
        Self { frame: None, event: Some(event) }
    }
}

/// What a server has granted, as long as it may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The server's message.
    pub acknowledgement: Message,
    /// What it says.
    pub lease: Lease,
    /// The station that sent it: the server, or the router before it.
    pub station: Mac,
    /// When it was asked for; all its times count from then.
    pub since: Duration,
}

impl Grant {
    /// What a message grants; `None` if it grants nothing.
    pub fn new(acknowledgement: Message, station: Mac, since: Duration) -> Option<Self> {
        let lease = Lease::of(&acknowledgement)?;
        Some(Self { acknowledgement, lease, station, since })
    }

    fn at(&self, time: Option<Duration>) -> Option<Duration> {
        time.map(|time| self.since + time)
    }

    /// When it is renewed; `None`: never.
    pub fn renewal(&self) -> Option<Duration> {
        self.at(self.lease.renewal)
    }

    /// When any server is asked to renew it.
    pub fn rebinding(&self) -> Option<Duration> {
        self.at(self.lease.rebinding)
    }

    /// When it ends.
    pub fn end(&self) -> Option<Duration> {
        self.at(self.lease.lifetime)
    }
}

/// A client.
#[derive(Clone, Debug)]
pub struct Client {
    identity: Identity,
    pace: Pace,
    random: Random,
    state: State,
    /// The number of the exchange that is going on.
    transaction: u32,
    /// When the search for an address, or the exchange about one, began.
    began: Duration,
    /// When the present state was entered; a lease counts from there.
    entered: Duration,
    repetitions: u32,
    deadline: Option<Duration>,
    offer: Option<Lease>,
    grant: Option<Grant>,
}

impl Client {
    /// A client in state INIT. All its random numbers follow from the seed.
    pub fn new(identity: Identity, pace: Pace, seed: u64) -> Self {
        Self {
            identity,
            pace,
            random: Random(seed),
            state: State::Init,
            transaction: 0,
            began: Duration::ZERO,
            entered: Duration::ZERO,
            repetitions: 0,
            deadline: None,
            offer: None,
            grant: None,
        }
    }

    /// Where it is.
    pub fn state(&self) -> State {
        self.state
    }

    /// What it has been granted.
    pub fn grant(&self) -> Option<&Grant> {
        self.grant.as_ref()
    }

    /// When to call [`Self::wake`] unless something happens before.
    pub fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// Whether it waits for an answer.
    pub fn is_listening(&self) -> bool {
        !matches!(self.state, State::Init | State::Bound)
    }

    /// Begins to look for an address.
    pub fn start(&mut self, now: Duration) -> Transmission {
        self.began = now;
        self.repetitions = 0;
        self.discover(now).into()
    }

    /// Goes on with a lease from before: it is used until it has to be renewed. If that time has
    /// passed, a server is asked whether it still holds. One from the future is as old as now: a
    /// clock that was set back must not make it last.
    pub fn resume(&mut self, now: Duration, grant: Grant) -> Transmission {
        let grant = Grant { since: grant.since.min(now), ..grant };
        let (renewal, end) = (grant.renewal(), grant.end());
        self.grant = Some(grant);
        if end.is_some_and(|end| end <= now) {
            return self.lose(Event::Expired);
        }
        if renewal.is_none_or(|renewal| now < renewal) {
            self.state = State::Bound;
            self.deadline = renewal;
            return Transmission::default();
        }
        self.enter(State::Rebooting, now);
        self.ask(now)
    }

    /// Something came in: what a server says, and the station whose frame it was in.
    pub fn receive(&mut self, now: Duration, station: Mac, message: &Message) -> Transmission {
        let is_ours = message.is_reply
            && message.transaction == self.transaction
            && message.hardware == self.identity.hardware;
        if !is_ours {
            return Transmission::default();
        }
        match (self.state, message.kind) {
            (State::Selecting, Kind::Offer) => self.select(now, message),
            (State::Requesting, Kind::Ack) => self.bind(message, station),
            (State::Requesting, Kind::Nak) => self.begin_again(now),
            (State::Rebooting | State::Renewing | State::Rebinding, Kind::Ack) => {
                let granted = Some(message.your_address);
                let had = self.grant.as_ref().map(|grant| grant.lease.address);
                // A container cannot be told of another address than the one it has.
                if granted == had { self.bind(message, station) } else { self.lose(Event::Refused) }
            }
            (State::Rebooting | State::Renewing | State::Rebinding, Kind::Nak) => {
                self.lose(Event::Refused)
            }
            _ => Transmission::default(),
        }
    }

    /// The deadline has come.
    pub fn wake(&mut self, now: Duration) -> Transmission {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return Transmission::default();
        }
        let passed = |time: Option<Duration>| time.is_some_and(|time| time <= now);
        let grant = self.grant.as_ref();
        let renewal = grant.and_then(Grant::renewal);
        let rebinding = grant.and_then(Grant::rebinding);
        let end = grant.and_then(Grant::end);
        match self.state {
            State::Init | State::Selecting if now >= self.began + self.pace.limit => {
                self.lose(Event::GaveUp)
            }
            State::Init => self.discover(now).into(),
            State::Requesting if now >= self.entered + self.pace.patience => {
                self.discover(now).into()
            }
            State::Rebooting | State::Bound | State::Renewing | State::Rebinding if passed(end) => {
                self.lose(Event::Expired)
            }
            State::Rebooting if now < self.entered + self.pace.patience => self.ask(now),
            // Nobody knows better: the lease is used while it lasts (RFC 2131, section 3.2).
            State::Rebooting | State::Bound | State::Renewing if passed(rebinding) => {
                self.enter(State::Rebinding, now);
                self.ask(now)
            }
            State::Rebooting | State::Bound if passed(renewal) => {
                self.enter(State::Renewing, now);
                self.ask(now)
            }
            State::Selecting
            | State::Requesting
            | State::Rebooting
            | State::Bound
            | State::Renewing
            | State::Rebinding => self.ask(now),
        }
    }

    /// Gives the address back: what the server is to be told, if there is something to tell.
    pub fn release(&mut self, now: Duration) -> Option<Release> {
        let grant = self.grant.take()?;
        self.enter(State::Init, now);
        self.deadline = None;
        Some(self.release_of(&grant))
    }

    /// The address turned out to be somebody else's: tells the server, and looks for another one
    /// after ten seconds (RFC 2131, section 3.1).
    pub fn decline(&mut self, now: Duration) -> Option<Vec<u8>> {
        const PAUSE: Duration = Duration::from_secs(10);
        let grant = self.grant.take()?;
        self.enter(State::Init, now);
        self.began = now;
        self.deadline = Some(now + PAUSE);
        Some(self.frame_of_decline(&grant))
    }

    fn enter(&mut self, state: State, now: Duration) {
        self.state = state;
        self.entered = now;
        self.repetitions = 0;
        self.transaction = self.random.u32();
        if !matches!(state, State::Selecting | State::Requesting) {
            self.began = now;
        }
    }

    fn discover(&mut self, now: Duration) -> Vec<u8> {
        // How long to wait depends on how long we have been looking.
        let repetitions = self.repetitions;
        let began = self.began;
        self.enter(State::Selecting, now);
        (self.repetitions, self.began) = (repetitions, began);
        self.offer = None;
        self.send(now)
    }

    /// The first offer is as good as any.
    fn select(&mut self, now: Duration, message: &Message) -> Transmission {
        let Some(offer) = Lease::of(message) else { return Transmission::default() };
        let transaction = self.transaction;
        self.enter(State::Requesting, now);
        // The server knows by this number that its offer was meant.
        self.transaction = transaction;
        self.offer = Some(offer);
        self.ask(now)
    }

    fn bind(&mut self, message: &Message, station: Mac) -> Transmission {
        let Some(grant) = Grant::new(message.clone(), station, self.entered) else {
            return Transmission::default();
        };
        self.state = State::Bound;
        self.deadline = grant.renewal();
        self.grant = Some(grant);
        Event::Granted.into()
    }

    /// A server went back on its offer. It is asked again after a pause, in case it always does.
    fn begin_again(&mut self, now: Duration) -> Transmission {
        self.state = State::Init;
        self.deadline = Some(now + self.pause());
        self.repetitions += 1;
        Transmission::default()
    }

    fn lose(&mut self, event: Event) -> Transmission {
        self.state = State::Init;
        self.deadline = None;
        event.into()
    }

    fn ask(&mut self, now: Duration) -> Transmission {
        self.send(now).into()
    }

    /// Sends what the state is about, and sets the time for doing it again.
    fn send(&mut self, now: Duration) -> Vec<u8> {
        let pause = self.pause();
        self.repetitions += 1;
        let last = match self.state {
            State::Selecting => Some(self.began + self.pace.limit),
            State::Requesting => Some(self.entered + self.pace.patience),
            State::Renewing => self.grant.as_ref().and_then(Grant::rebinding),
            _ => self.grant.as_ref().and_then(Grant::end),
        };
        let next = match self.state {
            State::Renewing | State::Rebinding => now + self.half_of_the_rest(now, last),
            _ => now + pause,
        };
        self.deadline = Some(last.map_or(next, |last| next.min(last)));
        self.frame(now)
    }

    /// The pause before the next repetition, a tenth more or less, so that clients that were
    /// started together do not stay together.
    fn pause(&mut self) -> Duration {
        let doubled = self.pace.first.saturating_mul(1 << self.repetitions.min(16));
        let pause = doubled.min(self.pace.longest);
        let tenths = u32::try_from(self.random.next() % 201).unwrap_or_default();
        pause * (900 + tenths) / 1000
    }

    /// RFC 2131, section 4.4.5: half of the time that is left, at least a minute; of short leases a
    /// tenth takes the place of the minute.
    fn half_of_the_rest(&self, now: Duration, last: Option<Duration>) -> Duration {
        const MINUTE: Duration = Duration::from_mins(1);
        let lifetime = self.grant.as_ref().and_then(|grant| grant.lease.lifetime);
        let shortest = lifetime.map_or(MINUTE, |lifetime| MINUTE.min(lifetime / 10));
        let rest = last.map_or(MINUTE, |last| last.saturating_sub(now));
        (rest / 2).max(shortest).max(Duration::from_millis(100))
    }
}
