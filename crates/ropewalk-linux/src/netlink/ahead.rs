//! Questions asked ahead: many go to the kernel at once, and each is answered from memory when it
//! is asked for. The answers must be forgotten before anything changes.

use super::Message;

/// Questions, and what the kernel answered to them.
#[derive(Debug, Default)]
pub(super) struct Ahead(Vec<(Message, Vec<u8>)>);

impl Ahead {
    /// Keeps the datagrams that answer a question.
    pub(super) fn keep(&mut self, question: Message, answer: Vec<u8>) {
        self.0.push((question, answer));
    }

    /// Drops all answers.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }

    /// The datagrams that answer a question, if it was asked.
    pub(super) fn answer(&self, question: &Message) -> Option<&[u8]> {
        let asked = self.0.iter().find(|(asked, _)| asked == question);
        asked.map(|(_, answer)| answer.as_slice())
    }
}
