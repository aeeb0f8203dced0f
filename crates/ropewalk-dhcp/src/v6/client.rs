//! The states of a client. They are those of DHCPv4; only what is said in them differs.

use alloc::vec::Vec;
use core::{net::Ipv6Addr, time::Duration};

use super::{
    lease::{Lease, Verdict, server_of, verdict},
    message::{Kind, Message, Options, option},
};
use crate::course::{Course, Due, Event, Pace, Schedule, State, Transmission};

/// The options that a client asks for.
const WANTED: [u16; 3] = [option::NAME_SERVERS, option::DOMAINS, option::LONGEST_SOLICIT_PAUSE];

/// Who a client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its DUID.
    pub identifier: Vec<u8>,
    /// The number of its addresses (IAID).
    pub number: u32,
}

/// What a server has granted, as long as it may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The server's message.
    pub reply: Message,
    /// Whom it was granted to.
    pub identity: Identity,
    /// What it says.
    pub lease: Lease,
    /// When it was asked for; all its times count from then.
    pub since: Duration,
}

impl Grant {
    /// What a message grants to the client that it is for; `None` if it grants nothing.
    pub fn new(reply: Message, since: Duration) -> Option<Self> {
        let identifier = reply.options.get(option::CLIENT_IDENTIFIER)?.to_vec();
        let number = reply.options.get(option::IA_NA)?.first_chunk()?;
        let identity = Identity { identifier, number: u32::from_be_bytes(*number) };
        match verdict(&reply, identity.number, None)? {
            Verdict::Granted(lease) => Some(Self { reply, identity, lease, since }),
            Verdict::Refused => None,
        }
    }

    fn schedule(&self) -> Schedule {
        let Lease { renewal, rebinding, lifetime, .. } = self.lease;
        Schedule { since: self.since, renewal, rebinding, lifetime }
    }
}

/// What a server is to be told at the end of a lease, until it has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release(Message);

impl Release {
    /// What to send.
    pub fn message(&self) -> Vec<u8> {
        self.0.to_bytes()
    }

    /// Whether these bytes say that the server has heard.
    pub fn is_answered_by(&self, bytes: &[u8]) -> bool {
        Message::parse(bytes).is_ok_and(|message| {
            message.kind == Kind::Reply && message.is_part_of(self.0.transaction)
        })
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
    /// A client that has nothing. All its random numbers follow from the seed.
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
    /// passed, any server is asked to renew it. One from the future is as old as now.
    pub fn resume(&mut self, now: Duration, grant: Grant) -> Transmission {
        let grant = Grant { since: grant.since.min(now), ..grant };
        let due = self.course.resume(now, grant.schedule());
        self.grant = Some(grant);
        self.transmission(due, now)
    }

    /// Something came in.
    pub fn receive(&mut self, now: Duration, message: &Message) -> Transmission {
        let is_ours = message.is_part_of(self.course.transaction)
            && message.options.get(option::CLIENT_IDENTIFIER) == Some(&*self.identity.identifier);
        let own = self.grant.as_ref().map(|grant| grant.lease.address);
        let verdict = verdict(message, self.identity.number, own).filter(|_| is_ours);
        let Some(verdict) = verdict else { return Transmission::default() };
        match (self.state(), message.kind, verdict) {
            (State::Selecting, Kind::Advertise, Verdict::Granted(offer)) => {
                self.offer = Some(offer);
                let due = self.course.select(now);
                self.transmission(due, now)
            }
            (State::Requesting, Kind::Reply, verdict) if self.is_from_server(message) => {
                match verdict {
                    Verdict::Granted(lease) => self.bind(message, lease),
                    Verdict::Refused => {
                        self.course.begin_again(now);
                        Transmission::default()
                    }
                }
            }
            (State::Rebooting | State::Renewing | State::Rebinding, Kind::Reply, verdict) => {
                match verdict {
                    Verdict::Granted(lease) if Some(lease.address) == own => {
                        self.bind(message, lease)
                    }
                    // A container cannot be told of another address than the one it has.
                    _ if self.is_from_server(message) => self.course.lose(Event::Refused).into(),
                    // Other servers need not know.
                    _ => Transmission::default(),
                }
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
        let Grant { lease, .. } = self.grant.take()?;
        self.course.end(now, None);
        let mut message = self.message(Kind::Release, now);
        message.options.push(option::SERVER_IDENTIFIER, lease.server);
        message.options.push(option::IA_NA, self.addresses(Some(lease.address)));
        Some(Release(message))
    }

    fn bind(&mut self, reply: &Message, lease: Lease) -> Transmission {
        let identity = self.identity.clone();
        let grant = Grant { reply: reply.clone(), identity, lease, since: self.course.entered() };
        let event = self.course.bind(grant.schedule());
        self.grant = Some(grant);
        event.into()
    }

    /// The lease that is talked about.
    fn lease(&self) -> Option<&Lease> {
        match self.state() {
            State::Init | State::Selecting => None,
            State::Requesting => self.offer.as_ref(),
            _ => self.grant.as_ref().map(|grant| &grant.lease),
        }
    }

    fn is_from_server(&self, message: &Message) -> bool {
        self.lease().is_some_and(|lease| server_of(message) == Some(&*lease.server))
    }

    fn transmission(&self, due: Due, now: Duration) -> Transmission {
        Transmission::of(due, || self.question(now).to_bytes())
    }

    /// What the present state is about.
    fn question(&self, now: Duration) -> Message {
        let kind = match self.state() {
            State::Init | State::Selecting => Kind::Solicit,
            State::Requesting => Kind::Request,
            State::Bound | State::Renewing => Kind::Renew,
            State::Rebooting | State::Rebinding => Kind::Rebind,
        };
        let mut message = self.message(kind, now);
        let lease = self.lease();
        if let Some(lease) = lease.filter(|_| kind != Kind::Rebind) {
            message.options.push(option::SERVER_IDENTIFIER, lease.server.clone());
        }
        let wanted: Vec<u8> = WANTED.iter().flat_map(|code| code.to_be_bytes()).collect();
        message.options.push(option::REQUESTED, wanted);
        message.options.push(option::IA_NA, self.addresses(lease.map(|lease| lease.address)));
        message
    }

    fn message(&self, kind: Kind, now: Duration) -> Message {
        let mut message = Message::new(kind, self.course.transaction);
        message.options.push(option::CLIENT_IDENTIFIER, self.identity.identifier.clone());
        let hundredths = self.course.elapsed(now).as_millis() / 10;
        let hundredths = u16::try_from(hundredths).unwrap_or(u16::MAX);
        message.options.push(option::ELAPSED_TIME, hundredths.to_be_bytes());
        message
    }

    /// Our addresses, with all times left to the server.
    fn addresses(&self, address: Option<Ipv6Addr>) -> Vec<u8> {
        let mut options = Options::default();
        if let Some(address) = address {
            options.push(option::ADDRESS, [address.octets().as_slice(), &[0; 8]].concat());
        }
        [self.identity.number.to_be_bytes().as_slice(), &[0; 8], &options.to_bytes()].concat()
    }
}
