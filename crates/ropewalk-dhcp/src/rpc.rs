//! The calls between plugin and daemon: Go's `net/rpc` over HTTP, as the reference plugin and its
//! daemon speak it, so that either may be the other end.

use alloc::{borrow::ToOwned, string::String, vec, vec::Vec};

use crate::gob::{Decoder, Encoder, InvalidGob, Structure, Type, Value};

/// What opens a connection.
pub const HELLO: &str = "CONNECT /_goRPC_ HTTP/1.0\n\n";

/// How the daemon answers that.
pub const WELCOME: &str = "HTTP/1.0 200 Connected to Go RPC\n\n";

/// The method that leases an address.
pub const ALLOCATE: &str = "DHCP.Allocate";
/// The method that gives it back.
pub const RELEASE: &str = "DHCP.Release";
/// The method that says whether a lease is held. The reference daemon does not have it.
pub const CONFIRM: &str = "DHCP.Confirm";
/// The method that gives back what is leased to others than the valid attachments. The reference
/// daemon does not have it.
pub const COLLECT: &str = "DHCP.Collect";

/// How a daemon begins to say that it does not have a method.
pub const UNKNOWN_METHOD: &str = "rpc: can't find method ";

static REQUEST: Structure =
    Structure { name: "Request", fields: &[("ServiceMethod", Type::Text), ("Seq", Type::Uint)] };

static RESPONSE: Structure = Structure {
    name: "Response",
    fields: &[("ServiceMethod", Type::Text), ("Seq", Type::Uint), ("Error", Type::Text)],
};

static ARGUMENTS: Structure = Structure {
    name: "CmdArgs",
    fields: &[
        ("ContainerID", Type::Text),
        ("Netns", Type::Text),
        ("IfName", Type::Text),
        ("Args", Type::Text),
        ("Path", Type::Text),
        ("NetnsOverride", Type::Text),
        ("StdinData", Type::Bytes),
    ],
};

static EMPTY: Structure = Structure { name: "", fields: &[] };

static NETWORK: Structure =
    Structure { name: "IPNet", fields: &[("IP", Type::Bytes), ("Mask", Type::Bytes)] };

static ADDRESS: Structure = Structure {
    name: "IPConfig",
    fields: &[
        ("Interface", Type::Int),
        ("Address", Type::Structure(&NETWORK)),
        ("Gateway", Type::Bytes),
    ],
};

static ROUTE: Structure = Structure {
    name: "Route",
    fields: &[
        ("Dst", Type::Structure(&NETWORK)),
        ("GW", Type::Bytes),
        ("MTU", Type::Int),
        ("AdvMSS", Type::Int),
        ("Priority", Type::Int),
        ("Table", Type::Int),
        ("Scope", Type::Int),
    ],
};

static DNS: Structure = Structure {
    name: "DNS",
    fields: &[
        ("Nameservers", Type::List(&Type::Text)),
        ("Domain", Type::Text),
        ("Search", Type::List(&Type::Text)),
        ("Options", Type::List(&Type::Text)),
    ],
};

/// The result of an ADD, as far as an address plugin has something to say. Routes before 1.1.0
/// lack some fields; readers of gob pass over those that they do not know.
static RESULT: Structure = Structure {
    name: "Result",
    fields: &[
        ("CNIVersion", Type::Text),
        ("IPs", Type::List(&Type::Structure(&ADDRESS))),
        ("Routes", Type::List(&Type::Structure(&ROUTE))),
        ("DNS", Type::Structure(&DNS)),
    ],
};

/// The arguments of every method: what the plugin was called with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    /// `CNI_CONTAINERID`
    pub container: String,
    /// `CNI_NETNS`
    pub netns: String,
    /// `CNI_IFNAME`
    pub interface: String,
    /// `CNI_ARGS`
    pub args: String,
    /// `CNI_PATH`
    pub path: String,
    /// The network configuration.
    pub configuration: Vec<u8>,
}

impl Arguments {
    fn to_value(&self) -> Value {
        structure([
            ("ContainerID", text(&self.container)),
            ("Netns", text(&self.netns)),
            ("IfName", text(&self.interface)),
            ("Args", text(&self.args)),
            ("Path", text(&self.path)),
            ("StdinData", Value::Bytes(self.configuration.clone())),
        ])
    }

    fn of(value: &Value) -> Self {
        Self {
            container: value.text("ContainerID").to_owned(),
            netns: value.text("Netns").to_owned(),
            interface: value.text("IfName").to_owned(),
            args: value.text("Args").to_owned(),
            path: value.text("Path").to_owned(),
            configuration: value.bytes("StdinData").to_vec(),
        }
    }
}

/// A structure of these parts.
pub fn structure<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Structure(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// A text as a value.
pub fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// The calling end of a connection.
#[derive(Debug, Default)]
pub struct Caller {
    encoder: Encoder,
    decoder: Decoder,
}

impl Caller {
    /// The bytes that call a method. A connection is used for one call.
    pub fn call(&mut self, method: &str, arguments: &Arguments) -> Vec<u8> {
        let request = structure([("ServiceMethod", text(method))]);
        let mut bytes = self.encoder.encode(&REQUEST, &request);
        bytes.extend(self.encoder.encode(&ARGUMENTS, &arguments.to_value()));
        bytes
    }

    /// More of the answer has come in.
    pub fn push(&mut self, bytes: &[u8]) {
        self.decoder.push(bytes);
    }

    /// The next value of the answer: first the response, then the result.
    pub fn next_value(&mut self) -> Result<Option<Value>, InvalidGob> {
        self.decoder.next_value()
    }
}

/// A call as it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The method.
    pub method: String,
    /// Its number on this connection.
    pub sequence: u64,
    /// Its arguments.
    pub arguments: Arguments,
}

/// The answering end of a connection.
#[derive(Debug, Default)]
pub struct Callee {
    encoder: Encoder,
    decoder: Decoder,
    request: Option<Value>,
}

impl Callee {
    /// More has come in.
    pub fn push(&mut self, bytes: &[u8]) {
        self.decoder.push(bytes);
    }

    /// The next call; `None` if it has not come in yet.
    pub fn next_call(&mut self) -> Result<Option<Call>, InvalidGob> {
        if self.request.is_none() {
            self.request = self.decoder.next_value()?;
        }
        let Some(request) = &self.request else { return Ok(None) };
        let Some(arguments) = self.decoder.next_value()? else { return Ok(None) };
        let sequence = match request.field("Seq") {
            Some(Value::Uint(sequence)) => *sequence,
            _ => 0,
        };
        let method = request.text("ServiceMethod").to_owned();
        self.request = None;
        Ok(Some(Call { method, sequence, arguments: Arguments::of(&arguments) }))
    }

    /// The bytes that answer a call with a result, or with nothing.
    pub fn answer(&mut self, call: &Call, result: Option<&Value>) -> Vec<u8> {
        let mut bytes = self.respond(call, "");
        bytes.extend(match result {
            Some(result) => self.encoder.encode(&RESULT, result),
            None => self.encoder.encode(&EMPTY, &Value::Structure(vec![])),
        });
        bytes
    }

    /// The bytes that answer a call with an error.
    pub fn refuse(&mut self, call: &Call, error: &str) -> Vec<u8> {
        let mut bytes = self.respond(call, error);
        bytes.extend(self.encoder.encode(&EMPTY, &Value::Structure(vec![])));
        bytes
    }

    fn respond(&mut self, call: &Call, error: &str) -> Vec<u8> {
        let response = structure([
            ("ServiceMethod", text(&call.method)),
            ("Seq", Value::Uint(call.sequence)),
            ("Error", text(error)),
        ]);
        self.encoder.encode(&RESPONSE, &response)
    }
}
