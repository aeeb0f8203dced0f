//! Messages as bytes: calls out, replies in. Pure.
//!
//! A message is a fixed part of 16 bytes, header fields, padding to a multiple of 8, and a body.
//! Every value lies at a multiple of its size, counted from the start of the message.

/// The fixed part of a message.
pub(super) const FIXED: usize = 16;
/// No answer we ask for is longer; firewalld quotes rule sets in its errors.
pub(super) const LONGEST: usize = 1024 * 1024;
/// No text we send is longer: a bus drops a client whose message is.
pub(super) const LONGEST_TEXT: usize = 64 * 1024;

const METHOD_CALL: u8 = 1;
const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;
const NO_AUTO_START: u8 = 2;

const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// Whether a call starts a service that does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    /// The bus starts it, if it knows how.
    Start,
    /// The call fails.
    Leave,
}

/// A call whose arguments are texts.
#[derive(Clone, Debug)]
pub(crate) struct MethodCall<'a> {
    pub(crate) destination: &'a str,
    pub(crate) path: &'a str,
    pub(crate) interface: &'a str,
    pub(crate) member: &'a str,
    pub(crate) arguments: &'a [&'a str],
    pub(crate) activation: Activation,
}

/// What a call returned, as far as its first value is of a kind we ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Nothing, or something that nobody here reads.
    Nothing,
    /// Yes or no.
    Boolean(bool),
    /// A text.
    Text(String),
}

/// A message that came in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    /// The call with this serial number has returned.
    Returned { serial: u32, reply: Reply },
    /// The call with this serial number has failed.
    Refused { serial: u32, name: String, text: String },
    /// A signal, or a call: not for us.
    Other,
}

impl MethodCall<'_> {
    /// Whether a bus would take it: a text of D-Bus has no NUL byte.
    pub(super) fn is_sendable(&self) -> bool {
        self.arguments.iter().all(|text| !text.contains('\0') && text.len() <= LONGEST_TEXT)
    }

    /// The call as bytes, little endian.
    pub(super) fn encode(&self, serial: u32) -> Vec<u8> {
        let mut body = Writer::default();
        self.arguments.iter().for_each(|text| body.text(text));
        // The fields start at byte 16, so that they are aligned as if they started at 0.
        let mut fields = Writer::default();
        for (code, kind, value) in [
            (PATH, b'o', self.path),
            (DESTINATION, b's', self.destination),
            (INTERFACE, b's', self.interface),
            (MEMBER, b's', self.member),
        ] {
            fields.field(code, kind);
            fields.text(value);
        }
        if !self.arguments.is_empty() {
            fields.field(SIGNATURE, b'g');
            fields.signature(self.arguments.len());
        }
        let flags = if self.activation == Activation::Start { 0 } else { NO_AUTO_START };
        let mut message = Writer(vec![b'l', METHOD_CALL, flags, 1]);
        message.length(body.0.len());
        message.0.extend(serial.to_le_bytes());
        message.length(fields.0.len());
        message.0.extend(fields.0);
        message.align(8);
        message.0.extend(body.0);
        message.0
    }
}

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn align(&mut self, size: usize) {
        self.0.resize(self.0.len().next_multiple_of(size), 0);
    }

    /// Lengths are below [`LONGEST`], so that they fit.
    fn length(&mut self, length: usize) {
        self.0.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.align(4);
        self.length(text.len());
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    fn field(&mut self, code: u8, kind: u8) {
        self.align(8);
        self.0.extend([code, 1, kind, 0]);
    }

    /// So many texts.
    fn signature(&mut self, texts: usize) {
        self.0.push(u8::try_from(texts).unwrap_or(u8::MAX));
        self.0.resize(self.0.len() + texts, b's');
        self.0.push(0);
    }
}

/// How long the message is that starts so; `None` if it cannot be one that we read.
pub(super) fn length(fixed: &[u8; FIXED]) -> Option<usize> {
    let order = Order::of(fixed[0])?;
    let word = |at: usize| order.word(fixed.get(at..at + 4)?);
    let (body, fields) = (word(4)? as usize, word(12)? as usize);
    let header = FIXED.checked_add(fields)?.checked_next_multiple_of(8)?;
    let length = header.checked_add(body)?;
    (fixed[3] == 1 && length <= LONGEST).then_some(length)
}

/// Reads a whole message.
pub(super) fn decode(message: &[u8]) -> Option<Incoming> {
    let mut reader = Reader { bytes: message, at: 0, order: Order::of(*message.first()?)? };
    let kind = *message.get(1)?;
    reader.at = FIXED - 4;
    let fields_end = FIXED.checked_add(reader.word()? as usize)?;
    let mut fields = Fields::default();
    while reader.at < fields_end {
        reader.align(8)?;
        fields.read(&mut reader)?;
    }
    reader.align(8)?;
    let body = Reader { bytes: message.get(reader.at..)?, at: 0, order: reader.order };
    Some(match kind {
        METHOD_RETURN => {
            Incoming::Returned { serial: fields.reply_serial?, reply: fields.reply(body)? }
        }
        ERROR => Incoming::Refused {
            serial: fields.reply_serial?,
            text: match fields.reply(body)? {
                Reply::Text(text) => text,
                Reply::Nothing | Reply::Boolean(_) => String::new(),
            },
            name: fields.error_name?,
        },
        _ => Incoming::Other,
    })
}

/// The header fields that matter.
#[derive(Default)]
struct Fields {
    reply_serial: Option<u32>,
    error_name: Option<String>,
    signature: String,
}

impl Fields {
    fn read(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        let code = reader.byte()?;
        let kind = reader.signature()?;
        match (code, kind) {
            (REPLY_SERIAL, "u") => self.reply_serial = Some(reader.word()?),
            (ERROR_NAME, "s") => self.error_name = Some(reader.text()?.to_owned()),
            (SIGNATURE, "g") => reader.signature()?.clone_into(&mut self.signature),
            // Who sent it and what it is about; fields that we do not know are to be passed over.
            (_, "s" | "o") => drop(reader.text()?),
            (_, "g") => drop(reader.signature()?),
            (_, "u" | "i" | "b" | "h") => drop(reader.word()?),
            _ => return None,
        }
        Some(())
    }

    fn reply(&self, mut body: Reader<'_>) -> Option<Reply> {
        Some(match self.signature.as_bytes().first() {
            Some(b'b') => Reply::Boolean(body.word()? != 0),
            Some(b's') => Reply::Text(body.text()?.to_owned()),
            _ => Reply::Nothing,
        })
    }
}

/// The order of bytes that the sender chose.
#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn of(mark: u8) -> Option<Self> {
        match mark {
            b'l' => Some(Self::Little),
            b'B' => Some(Self::Big),
            _ => None,
        }
    }

    fn word(self, bytes: &[u8]) -> Option<u32> {
        let bytes = bytes.try_into().ok()?;
        Some(match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        })
    }
}

/// Reads values one after the other; `None` at the first that is not there.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    order: Order,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn align(&mut self, size: usize) -> Option<()> {
        self.take(self.at.next_multiple_of(size) - self.at).map(drop)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn word(&mut self) -> Option<u32> {
        self.align(4)?;
        let order = self.order;
        order.word(self.take(4)?)
    }

    /// A text and the NUL byte behind it.
    fn terminated(&mut self, length: usize) -> Option<&'a str> {
        let text = self.take(length)?;
        (self.byte()? == 0).then_some(())?;
        std::str::from_utf8(text).ok()
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.word()?;
        self.terminated(length as usize)
    }

    fn signature(&mut self) -> Option<&'a str> {
        let length = self.byte()?;
        self.terminated(length.into())
    }
}
