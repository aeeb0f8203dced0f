//! Where a claim on a thread waits until it is known whether there is to be one.

use std::sync::mpsc::{Receiver, Sender, channel};

use ropewalk_cni::CniError;

/// A gate, which its key opens; without a key it is open.
#[derive(Debug)]
pub struct Gate(Option<Receiver<()>>);

/// What opens a gate. One that is dropped never does.
#[derive(Debug)]
pub(crate) struct Key(Sender<()>);

impl Gate {
    /// A gate that is open.
    #[must_use]
    pub fn open() -> Self {
        Self(None)
    }

    /// A gate that is closed.
    pub(crate) fn closed() -> (Key, Self) {
        let (sender, receiver) = channel();
        (Key(sender), Self(Some(receiver)))
    }

    /// Waits until it is open; an error if it never will be.
    pub fn pass(&self) -> Result<(), CniError> {
        let opened = self.0.as_ref().map_or(Ok(()), Receiver::recv);
        opened.map_err(|_| CniError::internal("no address is needed any more"))
    }
}

impl Key {
    /// Opens it.
    pub(crate) fn turn(self) {
        // Who does not wait any more has failed before.
        let _ = self.0.send(());
    }
}
