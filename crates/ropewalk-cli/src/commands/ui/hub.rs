//! Between the thread that watches the host and those that speak with pages: the state in words,
//! who waits for news, and questions about the host.
//!
//! It must never let a slow page hold up others: who has missed too much gets the whole state.

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use super::api::{Change, Patch, Rates, Space, State};
use super::shape::Shape as _;
use crate::http::Turn;
use crate::live::Live;

/// How many patches a page may be behind.
const KEPT_PATCHES: usize = 64;

/// How many changes a page is told when it is opened.
const KEPT_CHANGES: usize = 200;

/// How long a question may wait for the thread that knows the host.
const PATIENCE: Duration = Duration::from_secs(20);

type Question = Box<dyn FnOnce(&mut Live<'_>) + Send>;

#[derive(Debug)]
struct News {
    host: String,
    version: u64,
    spaces: Vec<Space>,
    changes: VecDeque<Change>,
    /// The newest last, which leads to the version.
    patches: VecDeque<Arc<str>>,
    /// The rates, and how often there were some.
    rates: (u64, Arc<str>),
    is_over: bool,
    listeners: usize,
}

/// Shared by all threads.
pub(super) struct Hub {
    news: Mutex<News>,
    bell: Condvar,
    questions: Mutex<Vec<Question>>,
    /// Readable when there are questions.
    asked: UnixStream,
    bell_rope: UnixStream,
}

impl Hub {
    pub(super) fn new() -> std::io::Result<Self> {
        let (asked, bell_rope) = UnixStream::pair()?;
        asked.set_nonblocking(true)?;
        bell_rope.set_nonblocking(true)?;
        let news = News {
            host: ropewalk_linux::host_name(),
            version: 0,
            spaces: Vec::new(),
            changes: VecDeque::new(),
            patches: VecDeque::new(),
            rates: (0, "".into()),
            is_over: false,
            listeners: 0,
        };
        let (bell, questions) = (Condvar::new(), Mutex::new(Vec::new()));
        Ok(Self { news: Mutex::new(news), bell, questions, asked, bell_rope })
    }

    fn news(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The host is like this now.
    pub(super) fn tell(&self, spaces: Vec<Space>, changes: Vec<Change>) {
        let mut news = self.news();
        let before: BTreeMap<u64, &Space> = news.spaces.iter().map(|one| (one.id, one)).collect();
        let is_other = |one: &&Space| before.get(&one.id).is_none_or(|past| *past != *one);
        let other: Vec<Space> = spaces.iter().filter(is_other).cloned().collect();
        let is_there = |id: &u64| spaces.iter().any(|one| one.id == *id);
        // As many as before and none new: nothing can be gone.
        let gone: Vec<u64> = if before.len() == spaces.len() && other.is_empty() {
            Vec::new()
        } else {
            before.keys().filter(|id| !is_there(id)).copied().collect()
        };
        if other.is_empty() && gone.is_empty() && changes.is_empty() {
            return;
        }
        news.version += 1;
        let patch = Patch { version: news.version, spaces: other, gone, changes: changes.clone() };
        news.patches.push_back(patch.json().to_string().into());
        if news.patches.len() > KEPT_PATCHES {
            news.patches.pop_front();
        }
        news.changes.extend(changes);
        while news.changes.len() > KEPT_CHANGES {
            news.changes.pop_front();
        }
        news.spaces = spaces;
        drop(news);
        self.bell.notify_all();
    }

    pub(super) fn tell_rates(&self, rates: &Rates) {
        let mut news = self.news();
        news.rates = (news.rates.0 + 1, rates.json().to_string().into());
        drop(news);
        self.bell.notify_all();
    }

    /// Nobody will tell anything any more.
    pub(super) fn end(&self) {
        self.news().is_over = true;
        self.bell.notify_all();
    }

    pub(super) fn state(&self) -> State {
        self.news().state()
    }

    /// Whether anybody wants to know rates.
    pub(super) fn has_listeners(&self) -> bool {
        self.news().listeners > 0
    }

    /// What a page hears, one after the other: the state, then what changes.
    pub(super) fn listen(self: &Arc<Self>) -> impl FnMut(Duration) -> Turn + Send + use<> {
        let listener = Listener::new(self.clone());
        let (mut version, mut counted) = (None, 0);
        move |time| {
            let deadline = Instant::now() + time;
            let mut news = listener.0.news();
            loop {
                if news.is_over {
                    return Turn::End;
                }
                if version != Some(news.version) {
                    return news.next(&mut version);
                }
                if counted != news.rates.0 {
                    counted = news.rates.0;
                    return Turn::Send("rates", news.rates.1.to_string());
                }
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Turn::Nothing;
                }
                let woken = listener.0.bell.wait_timeout(news, left);
                news = woken.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    /// Asks the thread that knows the host.
    pub(super) fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Live<'_>) -> T + Send + 'static,
    ) -> Option<T> {
        let (sender, receiver) = mpsc::channel();
        let question = move |live: &mut Live<'_>| {
            // Whoever asked may not have waited.
            let _ = sender.send(question(live));
        };
        let mut questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
        questions.push(Box::new(question));
        drop(questions);
        // If there is no room, it was rung before.
        let _ = (&self.bell_rope).write(&[0]);
        receiver.recv_timeout(PATIENCE).ok()
    }

    /// Readable when somebody asks.
    pub(super) fn asked(&self) -> BorrowedFd<'_> {
        self.asked.as_fd()
    }

    /// Answers what was asked.
    pub(super) fn answer(&self, live: &mut Live<'_>) {
        let mut rung = [0; 64];
        while rustix::io::read(&self.asked, &mut rung).is_ok_and(|count| count > 0) {}
        let questions =
            std::mem::take(&mut *self.questions.lock().unwrap_or_else(PoisonError::into_inner));
        for question in questions {
            question(live);
        }
    }
}

impl News {
    fn state(&self) -> State {
        State {
            version: self.version,
            host: self.host.clone(),
            spaces: self.spaces.clone(),
            changes: self.changes.iter().cloned().collect(),
        }
    }

    /// The next thing for who has seen a version.
    fn next(&self, seen: &mut Option<u64>) -> Turn {
        let behind = seen.map(|seen| self.version.saturating_sub(seen));
        let behind = behind.and_then(|behind| usize::try_from(behind).ok());
        let at = behind.and_then(|behind| self.patches.len().checked_sub(behind));
        if let (Some(patch), Some(version)) = (at.and_then(|at| self.patches.get(at)), *seen) {
            *seen = Some(version + 1);
            return Turn::Send("patch", patch.to_string());
        }
        *seen = Some(self.version);
        Turn::Send("state", self.state().json().to_string())
    }
}

/// Somebody who listens, until it is dropped.
struct Listener(Arc<Hub>);

impl Listener {
    fn new(hub: Arc<Hub>) -> Self {
        hub.news().listeners += 1;
        Self(hub)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.news().listeners -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(id: u64, name: &str) -> Space {
        Space {
            id,
            name: name.to_owned(),
            own: false,
            owner: None,
            runtime: None,
            container: None,
            unit: None,
            networks: Vec::new(),
            paths: Vec::new(),
            error: None,
            links: Vec::new(),
        }
    }

    fn told(turn: Turn) -> (String, serde_json::Value) {
        match turn {
            Turn::Send(name, data) => (name.to_owned(), data.parse().unwrap()),
            other => (format!("{other:?}"), serde_json::Value::Null),
        }
    }

    #[test]
    fn a_page_hears_the_state_and_then_what_changes() {
        let hub = Arc::new(Hub::new().unwrap());
        hub.tell(vec![space(1, "host"), space(2, "c1")], Vec::new());
        assert!(!hub.has_listeners());
        let mut page = hub.listen();
        assert!(hub.has_listeners());
        let mut next = || told(page(Duration::ZERO));
        let (name, state) = next();
        assert_eq!((name.as_str(), state["spaces"][1]["name"].as_str()), ("state", Some("c1")));
        assert_eq!(next().0, "Nothing");
        hub.tell(vec![space(1, "host"), space(2, "c1")], Vec::new());
        assert_eq!(next().0, "Nothing", "nothing has changed");
        hub.tell(vec![space(1, "host"), space(3, "c2")], Vec::new());
        let (name, patch) = next();
        assert_eq!(name, "patch");
        assert_eq!(patch["gone"], serde_json::json!([2]));
        assert_eq!(patch["spaces"][0]["name"], "c2");
        assert_eq!(patch["version"].as_u64(), state["version"].as_u64().map(|one| one + 1));
        hub.end();
        assert_eq!(next().0, "End");
        drop(page);
        assert!(!hub.has_listeners());
    }

    #[test]
    fn who_has_missed_too_much_gets_the_whole_state() {
        let hub = Arc::new(Hub::new().unwrap());
        hub.tell(vec![space(1, "host")], Vec::new());
        let mut page = hub.listen();
        page(Duration::ZERO);
        for number in 0..=KEPT_PATCHES {
            hub.tell(vec![space(1, &number.to_string())], Vec::new());
        }
        assert_eq!(told(page(Duration::ZERO)).0, "state");
        assert_eq!(told(page(Duration::ZERO)).0, "Nothing");
    }
}
