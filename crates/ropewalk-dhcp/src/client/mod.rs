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
    course::{Course, Due, Event, Pace, Schedule, State, Transmission},
    lease::Lease,
    message::{Kind, Message},
    options::Options,
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

    fn schedule(&self) -> Schedule {
        let Lease { renewal, rebinding, lifetime, .. } = self.lease;
        Schedule { since: self.since, renewal, rebinding, lifetime }
    }
}

/// A client.
#[derive(Clone, Debug)]
pub struct Client {
    identity: Identity,
    course: Course,
    offer: Option<Lease>,
    grant: Option<Grant>,
}

impl Client {
    /// A client in state INIT. All its random numbers follow from the seed.
    pub fn new(identity: Identity, pace: Pace, seed: u64) -> Self {
        Self { identity, course: Course::new(pace, seed), offer: None, grant: None }
    }

    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Where it is.
    pub fn state(&self) -> State {
        self.course.state()
    }

    /// What it has been granted.
    pub fn grant(&self) -> Option<&Grant> {
        self.grant.as_ref()
    }

    /// When to call [`Self::wake`] unless something happens before.
    pub fn deadline(&self) -> Option<Duration> {
        self.course.deadline()
    }

    /// Begins to look for an address.
    pub fn start(&mut self, now: Duration) -> Transmission {
        let due = self.course.start(now);
        self.transmission(due, now)
    }

    /// Goes on with a lease from before: it is used until it has to be renewed. If that time has
    /// passed, a server is asked whether it still holds. One from the future is as old as now: a
    /// clock that was set back must not make it last.
    pub fn resume(&mut self, now: Duration, grant: Grant) -> Transmission {
        let grant = Grant { since: grant.since.min(now), ..grant };
        let due = self.course.resume(now, grant.schedule());
        self.grant = Some(grant);
        self.transmission(due, now)
    }

    /// Something came in: what a server says, and the station whose frame it was in.
    pub fn receive(&mut self, now: Duration, station: Mac, message: &Message) -> Transmission {
        let is_ours = message.is_reply
            && message.transaction == self.course.transaction
            && message.hardware == self.identity.hardware;
        if !is_ours {
            return Transmission::default();
        }
        match (self.state(), message.kind) {
            (State::Selecting, Kind::Offer) => self.select(now, message),
            (State::Requesting, Kind::Ack) => self.bind(message, station),
            (State::Requesting, Kind::Nak) => {
                self.course.begin_again(now);
                Transmission::default()
            }
            (State::Rebooting | State::Renewing | State::Rebinding, Kind::Ack) => {
                let granted = Some(message.your_address);
                let had = self.grant.as_ref().map(|grant| grant.lease.address);
                // A container cannot be told of another address than the one it has.
                if granted == had {
                    self.bind(message, station)
                } else {
                    self.course.lose(Event::Refused).into()
                }
            }
            (State::Rebooting | State::Renewing | State::Rebinding, Kind::Nak) => {
                self.course.lose(Event::Refused).into()
            }
            _ => Transmission::default(),
        }
    }

    /// The deadline has come.
    pub fn wake(&mut self, now: Duration) -> Transmission {
        let due = self.course.wake(now);
        self.transmission(due, now)
    }

    /// Gives the address back: what the server is to be told, if there is something to tell.
    pub fn release(&mut self, now: Duration) -> Option<Release> {
        let grant = self.grant.take()?;
        self.course.end(now, None);
        Some(self.release_of(&grant))
    }

    /// The address turned out to be somebody else's: tells the server, and looks for another one
    /// after ten seconds (RFC 2131, section 3.1).
    pub fn decline(&mut self, now: Duration) -> Option<Vec<u8>> {
        const PAUSE: Duration = Duration::from_secs(10);
        let grant = self.grant.take()?;
        self.course.end(now, Some(now + PAUSE));
        Some(self.frame_of_decline(&grant))
    }

    /// The first offer is as good as any.
    fn select(&mut self, now: Duration, message: &Message) -> Transmission {
        let Some(offer) = Lease::of(message) else { return Transmission::default() };
        self.offer = Some(offer);
        let due = self.course.select(now);
        // The server knows by this number that its offer was meant.
        self.course.transaction = message.transaction;
        self.transmission(due, now)
    }

    fn bind(&mut self, message: &Message, station: Mac) -> Transmission {
        let Some(grant) = Grant::new(message.clone(), station, self.course.entered()) else {
            return Transmission::default();
        };
        let event = self.course.bind(grant.schedule());
        self.grant = Some(grant);
        event.into()
    }

    fn transmission(&self, due: Due, now: Duration) -> Transmission {
        Transmission::of(due, || self.frame(now))
    }
}
