//! Writing gob.

use alloc::vec::Vec;

use super::{
    BYTES, FIRST_OWN, INT, Structure, TEXT, Type, UINT, Value,
    number::{write_int, write_uint},
};

/// Positions in the description of a type: which of its forms, and its parts.
const SLICE: u64 = 2;
const STRUCTURE: u64 = 3;

/// One direction of a connection: remembers which types were described.
#[derive(Debug, Default)]
pub struct Encoder {
    described: Vec<Type>,
}

impl Encoder {
    /// The messages that carry a structure. Parts that are missing in the value, or of another
    /// type than the structure says, are empty at the other end.
    pub fn encode(&mut self, structure: &'static Structure, value: &Value) -> Vec<u8> {
        let mut bytes = Vec::new();
        let number = self.describe(&mut bytes, Type::Structure(structure));
        let mut body = Vec::new();
        write_int(&mut body, number);
        write_structure(&mut body, structure, value);
        write_message(&mut bytes, &body);
        bytes
    }

    /// The number of a type, which is described first if it has not been.
    fn describe(&mut self, bytes: &mut Vec<u8>, kind: Type) -> i64 {
        match kind {
            Type::Int => return INT,
            Type::Uint => return UINT,
            Type::Bytes => return BYTES,
            Type::Text => return TEXT,
            Type::List(_) | Type::Structure(_) => {}
        }
        let position = self.described.iter().position(|described| *described == kind);
        if let Some(position) = position {
            return own_number(position);
        }
        self.described.push(kind);
        let number = own_number(self.described.len() - 1);
        let mut body = Vec::new();
        write_int(&mut body, -number);
        match kind {
            Type::List(element) => {
                let element = self.describe(bytes, *element);
                write_uint(&mut body, SLICE);
                write_common(&mut body, "", number);
                write_uint(&mut body, 1);
                write_int(&mut body, element);
            }
            Type::Structure(structure) => {
                write_uint(&mut body, STRUCTURE);
                write_common(&mut body, structure.name, number);
                if !structure.fields.is_empty() {
                    write_uint(&mut body, 1);
                    write_uint(&mut body, structure.fields.len() as u64);
                }
                for (name, field) in structure.fields {
                    let field = self.describe(bytes, *field);
                    write_uint(&mut body, 1);
                    write_text(&mut body, name);
                    write_uint(&mut body, 1);
                    write_int(&mut body, field);
                    body.push(0);
                }
            }
            Type::Int | Type::Uint | Type::Bytes | Type::Text => {}
        }
        // The form ends, and the description.
        body.extend([0, 0]);
        write_message(bytes, &body);
        number
    }
}

fn own_number(position: usize) -> i64 {
    FIRST_OWN + 1 + i64::try_from(position).unwrap_or_default()
}

/// What all forms of types have in front: name and number.
fn write_common(body: &mut Vec<u8>, name: &str, number: i64) {
    write_uint(body, 1);
    if name.is_empty() {
        write_uint(body, 2);
    } else {
        write_uint(body, 1);
        write_text(body, name);
        write_uint(body, 1);
    }
    write_int(body, number);
    body.push(0);
}

fn write_message(bytes: &mut Vec<u8>, body: &[u8]) {
    write_uint(bytes, body.len() as u64);
    bytes.extend_from_slice(body);
}

fn write_text(bytes: &mut Vec<u8>, text: &str) {
    write_uint(bytes, text.len() as u64);
    bytes.extend_from_slice(text.as_bytes());
}

/// Only parts that are not empty are written, each with its distance from the one before.
fn write_structure(bytes: &mut Vec<u8>, structure: &Structure, value: &Value) {
    let mut last = 0;
    for (position, (name, kind)) in structure.fields.iter().enumerate() {
        let Some(value) = value.field(name).filter(|value| !is_empty(value)) else { continue };
        let mut field = Vec::new();
        if write_value(&mut field, *kind, value) {
            let number = position as u64 + 1;
            write_uint(bytes, number - last);
            bytes.extend(field);
            last = number;
        }
    }
    bytes.push(0);
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Bool(value) => !value,
        Value::Int(number) => *number == 0,
        Value::Uint(number) => *number == 0,
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::Text(text) => text.is_empty(),
        Value::List(elements) => elements.is_empty(),
        Value::Structure(_) => false,
    }
}

/// Writes a value; `false` if it is of another type.
fn write_value(bytes: &mut Vec<u8>, kind: Type, value: &Value) -> bool {
    match (kind, value) {
        (Type::Int, Value::Int(number)) => write_int(bytes, *number),
        (Type::Uint, Value::Uint(number)) => write_uint(bytes, *number),
        (Type::Text, Value::Text(text)) => write_text(bytes, text),
        (Type::Bytes, Value::Bytes(content)) => {
            write_uint(bytes, content.len() as u64);
            bytes.extend_from_slice(content);
        }
        (Type::List(kind), Value::List(elements)) => {
            let mut body = Vec::new();
            let written = elements.iter().filter(|value| write_value(&mut body, *kind, value));
            write_uint(bytes, written.count() as u64);
            bytes.extend(body);
        }
        (Type::Structure(structure), Value::Structure(_)) => {
            write_structure(bytes, structure, value);
        }
        _ => return false,
    }
    true
}
