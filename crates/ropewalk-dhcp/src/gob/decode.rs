//! Reading gob, a piece at a time, from somebody who may send anything.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use super::{BOOL, BYTES, FIRST_OWN, FLOAT, INT, InvalidGob, TEXT, UINT, Value, number::peek_uint};

/// The longest message that is read. A network configuration is a few kilobytes.
const LONGEST: usize = 1 << 20;

/// How deep values may lie in each other.
const DEEPEST: u32 = 16;

/// A type that was described.
#[derive(Clone, Debug)]
enum Described {
    List(i64),
    Structure(Vec<(String, i64)>),
    /// One of the other forms; a value of it is refused.
    Foreign,
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    types: BTreeMap<i64, Described>,
}

impl Decoder {
    /// More has come in.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next value; `None` if it has not come in yet.
    pub fn next_value(&mut self) -> Result<Option<Value>, InvalidGob> {
        while let Some((length, prefix)) = peek_uint(&self.bytes)? {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            if length > LONGEST {
                return Err(InvalidGob("message is too long"));
            }
            let Some(body) = self.bytes.get(prefix..prefix + length) else { return Ok(None) };
            let body = body.to_vec();
            self.bytes.drain(..prefix + length);
            let mut reader = Reader { bytes: &body, types: &self.types };
            let number = reader.int()?;
            if number >= 0 {
                return reader.top(number).map(Some);
            }
            let described = reader.description()?;
            self.types.insert(number.saturating_neg(), described);
        }
        Ok(None)
    }
}

/// One message.
struct Reader<'a> {
    bytes: &'a [u8],
    types: &'a BTreeMap<i64, Described>,
}

impl<'a> Reader<'a> {
    fn uint(&mut self) -> Result<u64, InvalidGob> {
        let (number, length) = peek_uint(self.bytes)?.ok_or(InvalidGob("message is cut off"))?;
        self.bytes = &self.bytes[length..];
        Ok(number)
    }

    fn int(&mut self) -> Result<i64, InvalidGob> {
        let number = self.uint()?;
        let magnitude = (number >> 1).cast_signed();
        Ok(if number & 1 == 1 { !magnitude } else { magnitude })
    }

    fn slice(&mut self) -> Result<&'a [u8], InvalidGob> {
        let length = usize::try_from(self.uint()?).unwrap_or(usize::MAX);
        let cut_off = InvalidGob("message is cut off");
        let (slice, rest) = self.bytes.split_at_checked(length).ok_or(cut_off)?;
        self.bytes = rest;
        Ok(slice)
    }

    fn text(&mut self) -> Result<String, InvalidGob> {
        Ok(String::from_utf8_lossy(self.slice()?).into_owned())
    }

    /// The position of the next part that is there, counted from 1; `None` at the end.
    fn next_field(&mut self, last: &mut u64) -> Result<Option<u64>, InvalidGob> {
        let distance = self.uint()?;
        *last = last.checked_add(distance).ok_or(InvalidGob("no such field"))?;
        Ok((distance != 0).then_some(*last))
    }

    fn top(&mut self, number: i64) -> Result<Value, InvalidGob> {
        if !matches!(self.types.get(&number), Some(Described::Structure(_))) {
            return Err(InvalidGob("value is not a structure"));
        }
        self.value(number, 0)
    }

    fn value(&mut self, number: i64, depth: u32) -> Result<Value, InvalidGob> {
        if depth > DEEPEST {
            return Err(InvalidGob("value is too deep"));
        }
        match number {
            BOOL => return Ok(Value::Bool(self.uint()? != 0)),
            INT => return Ok(Value::Int(self.int()?)),
            // The bits of a float stand in a number, turned around; nobody reads them here.
            UINT | FLOAT => return Ok(Value::Uint(self.uint()?)),
            BYTES => return Ok(Value::Bytes(self.slice()?.to_vec())),
            TEXT => return Ok(Value::Text(self.text()?)),
            _ => {}
        }
        match self.types.get(&number) {
            Some(Described::List(element)) => {
                let count = self.uint()?;
                let mut elements = Vec::new();
                for _ in 0..count {
                    // An empty structure is a byte, too; nothing takes no bytes.
                    if self.bytes.is_empty() {
                        return Err(InvalidGob("message is cut off"));
                    }
                    elements.push(self.value(*element, depth + 1)?);
                }
                Ok(Value::List(elements))
            }
            Some(Described::Structure(fields)) => {
                let mut last = 0;
                let mut values = Vec::new();
                while let Some(position) = self.next_field(&mut last)? {
                    let index = usize::try_from(position - 1).unwrap_or(usize::MAX);
                    let (name, kind) = fields.get(index).ok_or(InvalidGob("no such field"))?;
                    values.push((name.clone(), self.value(*kind, depth + 1)?));
                }
                Ok(Value::Structure(values))
            }
            Some(Described::Foreign) | None => Err(InvalidGob("unknown type")),
        }
    }

    /// A description: one part that says which form, and in it the parts of the form.
    fn description(&mut self) -> Result<Described, InvalidGob> {
        match self.uint()? {
            2 => self.list(),
            3 => self.structure(),
            _ => Ok(Described::Foreign),
        }
    }

    fn list(&mut self) -> Result<Described, InvalidGob> {
        let (mut last, mut element) = (0, 0);
        while let Some(position) = self.next_field(&mut last)? {
            match position {
                1 => self.skip_common()?,
                2 => element = self.int()?,
                _ => return Err(InvalidGob("no such field")),
            }
        }
        Ok(Described::List(element))
    }

    fn structure(&mut self) -> Result<Described, InvalidGob> {
        let (mut last, mut fields) = (0, Vec::new());
        while let Some(position) = self.next_field(&mut last)? {
            match position {
                1 => self.skip_common()?,
                2 => {
                    for _ in 0..self.uint()? {
                        fields.push(self.field()?);
                    }
                }
                _ => return Err(InvalidGob("no such field")),
            }
        }
        Ok(Described::Structure(fields))
    }

    fn field(&mut self) -> Result<(String, i64), InvalidGob> {
        let (mut last, mut name, mut kind) = (0, String::new(), 0);
        while let Some(position) = self.next_field(&mut last)? {
            match position {
                1 => name = self.text()?,
                2 => kind = self.int()?,
                _ => return Err(InvalidGob("no such field")),
            }
        }
        if kind <= 0 || (kind > TEXT && kind < FIRST_OWN) {
            return Err(InvalidGob("field of a type that is not read here"));
        }
        Ok((name, kind))
    }

    /// Name and number of a type; the number is known from the front of the message.
    fn skip_common(&mut self) -> Result<(), InvalidGob> {
        let mut last = 0;
        while let Some(position) = self.next_field(&mut last)? {
            match position {
                1 => drop(self.slice()?),
                2 => drop(self.int()?),
                _ => return Err(InvalidGob("no such field")),
            }
        }
        Ok(())
    }
}
