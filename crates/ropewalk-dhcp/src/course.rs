//! The clock of a client: in which state it is, when it asks again, and when a lease is renewed
//! and ends. It never knows what is asked; that is what DHCPv4 and DHCPv6 differ in.

use alloc::vec::Vec;
use core::time::Duration;

use crate::random::Random;

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
    /// What to send: an Ethernet frame; of DHCPv6 what is in a datagram.
    pub frame: Option<Vec<u8>>,
    /// What to know.
    pub event: Option<Event>,
}

impl From<Vec<u8>> for Transmission {
    fn from(frame: Vec<u8>) -> Self {
        Self { frame: Some(frame), event: None }
    }
}

impl Transmission {
    pub(crate) fn of(due: Due, message: impl FnOnce() -> Vec<u8>) -> Self {
        match due {
            Due::Nothing => Self::default(),
            Due::Message => message().into(),
            Due::Event(event) => event.into(),
        }
    }
}

impl From<Event> for Transmission {
    fn from(event: Event) -> Self {
        Self { frame: None, event: Some(event) }
    }
}

/// What there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    /// The message that the state is about has to be sent, for the first time or once more.
    Message,
    Event(Event),
}

/// When a lease is renewed and ends, counted from when it was asked for; `None`: never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Schedule {
    pub(crate) since: Duration,
    pub(crate) renewal: Option<Duration>,
    pub(crate) rebinding: Option<Duration>,
    pub(crate) lifetime: Option<Duration>,
}

impl Schedule {
    fn renewal(&self) -> Option<Duration> {
        self.renewal.map(|time| self.since + time)
    }

    fn rebinding(&self) -> Option<Duration> {
        self.rebinding.map(|time| self.since + time)
    }

    fn end(&self) -> Option<Duration> {
        self.lifetime.map(|time| self.since + time)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Course {
    pace: Pace,
    random: Random,
    state: State,
    /// The number of the exchange that is going on.
    pub(crate) transaction: u32,
    /// When the search for an address, or the exchange about one, began.
    began: Duration,
    /// When the present state was entered; a lease counts from there.
    entered: Duration,
    repetitions: u32,
    deadline: Option<Duration>,
    schedule: Schedule,
}

impl Course {
    /// All random numbers follow from the seed.
    pub(crate) fn new(pace: Pace, seed: u64) -> Self {
        Self {
            pace,
            random: Random(seed),
            state: State::Init,
            transaction: 0,
            began: Duration::ZERO,
            entered: Duration::ZERO,
            repetitions: 0,
            deadline: None,
            schedule: Schedule::default(),
        }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    pub(crate) fn entered(&self) -> Duration {
        self.entered
    }

    /// How long the exchange has been going on.
    pub(crate) fn elapsed(&self, now: Duration) -> Duration {
        now.saturating_sub(self.began)
    }

    pub(crate) fn start(&mut self, now: Duration) -> Due {
        self.began = now;
        self.repetitions = 0;
        self.search(now)
    }

    pub(crate) fn resume(&mut self, now: Duration, schedule: Schedule) -> Due {
        self.schedule = schedule;
        if schedule.end().is_some_and(|end| end <= now) {
            return Due::Event(self.lose(Event::Expired));
        }
        if schedule.renewal().is_none_or(|renewal| now < renewal) {
            self.state = State::Bound;
            self.deadline = schedule.renewal();
            return Due::Nothing;
        }
        self.enter(State::Rebooting, now);
        self.ask(now)
    }

    pub(crate) fn wake(&mut self, now: Duration) -> Due {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return Due::Nothing;
        }
        let passed = |time: Option<Duration>| time.is_some_and(|time| time <= now);
        let (renewal, rebinding) = (self.schedule.renewal(), self.schedule.rebinding());
        match self.state {
            State::Init | State::Selecting if now >= self.began + self.pace.limit => {
                Due::Event(self.lose(Event::GaveUp))
            }
            State::Init => self.search(now),
            State::Requesting if now >= self.entered + self.pace.patience => self.search(now),
            State::Rebooting | State::Bound | State::Renewing | State::Rebinding
                if passed(self.schedule.end()) =>
            {
                Due::Event(self.lose(Event::Expired))
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

    /// Enters REQUESTING.
    pub(crate) fn select(&mut self, now: Duration) -> Due {
        self.enter(State::Requesting, now);
        self.ask(now)
    }

    pub(crate) fn bind(&mut self, schedule: Schedule) -> Event {
        self.state = State::Bound;
        self.deadline = schedule.renewal();
        self.schedule = schedule;
        Event::Granted
    }

    /// A server went back on its offer. It is asked again after a pause, in case it always does.
    pub(crate) fn begin_again(&mut self, now: Duration) {
        self.state = State::Init;
        self.deadline = Some(now + self.pause());
        self.repetitions += 1;
    }

    /// Enters INIT after the end of a lease; searches for another one at a time, or never.
    pub(crate) fn end(&mut self, now: Duration, next: Option<Duration>) {
        self.enter(State::Init, now);
        self.deadline = next;
    }

    pub(crate) fn lose(&mut self, event: Event) -> Event {
        self.state = State::Init;
        self.deadline = None;
        event
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

    fn search(&mut self, now: Duration) -> Due {
        // How long to wait depends on how long we have been looking.
        let repetitions = self.repetitions;
        self.enter(State::Selecting, now);
        self.repetitions = repetitions;
        self.ask(now)
    }

    /// Has the message sent, and sets the time for doing it again.
    fn ask(&mut self, now: Duration) -> Due {
        let pause = self.pause();
        self.repetitions += 1;
        let last = match self.state {
            State::Selecting => Some(self.began + self.pace.limit),
            State::Requesting => Some(self.entered + self.pace.patience),
            State::Renewing => self.schedule.rebinding(),
            _ => self.schedule.end(),
        };
        let next = match self.state {
            State::Renewing | State::Rebinding => now + self.half_of_the_rest(now, last),
            _ => now + pause,
        };
        self.deadline = Some(last.map_or(next, |last| next.min(last)));
        Due::Message
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
        let shortest = self.schedule.lifetime.map_or(MINUTE, |lifetime| MINUTE.min(lifetime / 10));
        let rest = last.map_or(MINUTE, |last| last.saturating_sub(now));
        (rest / 2).max(shortest).max(Duration::from_millis(100))
    }
}
