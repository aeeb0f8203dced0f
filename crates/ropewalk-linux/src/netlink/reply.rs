//! Splits what was received into messages and reads the kernel's verdicts.

use ropewalk_netstate::KernelError;
use rustix::io::Errno;

use super::{Attributes, padded};
use crate::{
    error::kernel_error,
    uapi::{
        NLM_F_ACK_TLVS, NLM_F_CAPPED, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, NLMSGERR_ATTR_MSG,
    },
};

/// Length of a netlink header.
const HEADER: usize = 16;

/// One message from the kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply<'a> {
    /// Its type.
    pub(crate) kind: u16,
    flags: u16,
    /// The sequence number of the request it answers; 0 for an event.
    pub(crate) sequence: u32,
    /// Family header and attributes.
    pub(crate) payload: &'a [u8],
}

/// The messages in a received buffer. Ends at the first one whose length is impossible.
#[derive(Clone, Debug)]
pub(crate) struct Replies<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Replies<'a> {
    type Item = Reply<'a>;

    fn next(&mut self) -> Option<Reply<'a>> {
        let header = self.0.first_chunk::<HEADER>()?;
        let word = |at: usize| u32::from_ne_bytes([0, 1, 2, 3].map(|i| header[at + i]));
        let half = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
        let length = usize::try_from(word(0)).ok()?;
        let reply = Reply {
            kind: half(4),
            flags: half(6),
            sequence: word(8),
            payload: self.0.get(HEADER..length)?,
        };
        self.0 = self.0.get(padded(length)..).unwrap_or_default();
        Some(reply)
    }
}

impl Reply<'_> {
    /// The dump that this message belongs to raced with a change and has to be repeated.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.flags & NLM_F_DUMP_INTR != 0
    }

    /// What an acknowledgement or the end of a dump says; `None` for any other message.
    pub(crate) fn verdict(&self, speaker: &str) -> Option<Result<(), KernelError>> {
        let behind = match self.kind {
            NLMSG_DONE => 4,
            NLMSG_ERROR => self.behind_echoed_request(),
            _ => return None,
        };
        let code = self.payload.first_chunk::<4>().map_or(0, |bytes| i32::from_ne_bytes(*bytes));
        if code >= 0 {
            return Some(Ok(()));
        }
        let errno = code.checked_neg().filter(|errno| (1..4096).contains(errno));
        let errno = errno.map_or(Errno::IO, Errno::from_raw_os_error);
        let said = (self.flags & NLM_F_ACK_TLVS != 0)
            .then(|| Attributes::behind(self.payload, behind).first(NLMSGERR_ATTR_MSG)?.text())
            .flatten()
            .map(|text| format!("{speaker}: {}", text.trim_end_matches('.')));
        Some(Err(kernel_error(errno, said.as_deref())))
    }

    /// Attributes of an error follow the request that it repeats, unless that is cut off.
    fn behind_echoed_request(&self) -> usize {
        let header = self.payload.get(4..8).and_then(|bytes| bytes.first_chunk::<4>());
        let echoed = header
            .map_or(HEADER, |bytes| usize::try_from(u32::from_ne_bytes(*bytes)).unwrap_or(HEADER));
        let capped = self.flags & NLM_F_CAPPED != 0;
        4 + if capped { HEADER } else { padded(echoed.min(self.payload.len())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_message(code: i32, flags: u16, echoed: u32, text: &[u8]) -> Vec<u8> {
        let mut payload = code.to_ne_bytes().to_vec();
        payload.extend(echoed.to_ne_bytes());
        payload.extend([0; 12]);
        payload.extend(u16::try_from(text.len() + 4).unwrap().to_ne_bytes());
        payload.extend(NLMSGERR_ATTR_MSG.to_ne_bytes());
        payload.extend(text);
        let mut bytes = u32::try_from(payload.len() + HEADER).unwrap().to_ne_bytes().to_vec();
        bytes.extend(NLMSG_ERROR.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(7u32.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn an_error_carries_the_words_of_the_kernel() {
        let bytes = error_message(-17, NLM_F_ACK_TLVS | NLM_F_CAPPED, 400, b"Name in use.\0");
        let reply = Replies(&bytes).next().unwrap();
        let error = reply.verdict("RTNETLINK").unwrap().unwrap_err();
        assert_eq!(error.reason, "file exists (RTNETLINK: Name in use)");
        assert_eq!((error.errno, reply.sequence), (17, 7));
    }

    #[test]
    fn any_bytes_are_read_without_panic() {
        let good = error_message(-17, NLM_F_ACK_TLVS, 16, b"Name in use.\0");
        for cut in 0..good.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bytes = good.clone();
                bytes[cut] = value;
                for end in [cut, bytes.len()] {
                    for reply in Replies(&bytes[..end]).take(100) {
                        let _ = reply.verdict("RTNETLINK");
                    }
                }
            }
        }
    }
}
