//! nftables as the kernel evaluates it: rules are lists of expressions over registers. The
//! iptables of today are tables of it whose rules hold matches and targets.

use alloc::{string::String, vec::Vec};

/// The packet filter of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Its tables.
    pub tables: Vec<Table>,
    /// Tables of the old iptables, in the same shape: what their rules ask of addresses, links and
    /// protocols is told in steps as iptables in nftables tells it. Rules are numbered from 1 in
    /// each chain.
    pub legacy: Vec<Table>,
}

/// The packets that a table sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum FilterFamily {
    /// Both IPv4 and IPv6.
    #[default]
    Inet,
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
    /// ARP.
    Arp,
    /// Frames that a bridge forwards.
    Bridge,
    /// Packets where they enter or leave a link.
    Netdev,
    /// Another one, by its number.
    Other(u8),
}

impl FilterFamily {
    /// The family with this number in the kernel.
    pub fn of(number: u8) -> Self {
        match number {
            1 => Self::Inet,
            2 => Self::Ip,
            3 => Self::Arp,
            5 => Self::Netdev,
            7 => Self::Bridge,
            10 => Self::Ip6,
            other => Self::Other(other),
        }
    }

    /// Its name for `nft`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inet => "inet",
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Arp => "arp",
            Self::Bridge => "bridge",
            Self::Netdev => "netdev",
            Self::Other(_) => "unknown",
        }
    }
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The packets it sees.
    pub family: FilterFamily,
    /// Its name.
    pub name: String,
    /// Its number.
    pub handle: u64,
    /// `NFT_TABLE_F_…`.
    pub flags: u32,
    /// Its chains.
    pub chains: Vec<Chain>,
    /// Its sets and maps.
    pub sets: Vec<Set>,
    /// What rules and maps refer to by name.
    pub objects: Vec<Object>,
    /// Where connections go past the rules.
    pub flow_tables: Vec<FlowTable>,
}

impl Table {
    /// Whether nothing asks it at the moment.
    pub fn is_dormant(&self) -> bool {
        const DORMANT: u32 = 1;
        self.flags & DORMANT != 0
    }

    /// How many rules it has.
    pub fn rule_count(&self) -> usize {
        self.chains.iter().map(|chain| chain.rules.len()).sum()
    }
}

/// A chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Its name.
    pub name: String,
    /// Its number.
    pub handle: u64,
    /// Where packets enter it, if they do without a jump.
    pub base: Option<Base>,
    /// Its rules in order.
    pub rules: Vec<Rule>,
}

/// Where packets enter a chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Base {
    /// `filter`, `nat`, `route`.
    pub kind: String,
    /// `NF_INET_…` and the like.
    pub hook: u32,
    /// The lowest is asked first.
    pub priority: i32,
    /// Whether packets are accepted at its end.
    pub accepts: bool,
    /// The links it is for, in netdev and inet ingress.
    pub devices: Vec<String>,
    /// Packets and bytes that came to its end, where they are counted.
    pub counted: Option<(u64, u64)>,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its number.
    pub handle: u64,
    /// What is done, one after the other, until one says no.
    pub expressions: Vec<Expression>,
    /// What somebody noted.
    pub comment: Option<String>,
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Equal.
    Equal,
    /// Not equal.
    NotEqual,
    /// Less.
    Less,
    /// Less or equal.
    AtMost,
    /// Greater.
    Greater,
    /// Greater or equal.
    AtLeast,
}

/// One step of a rule. Registers are the kernel's: 0 is the verdict, 1 to 4 have 16 bytes, 8 to 23
/// have 4 bytes of the same memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// Something about the packet (`NFT_META_…`) into a register.
    Meta {
        /// What.
        key: u32,
        /// Where to.
        into: u32,
    },
    /// A register into something about the packet.
    SetMeta {
        /// What.
        key: u32,
        /// Where from.
        from: u32,
    },
    /// Bytes of the packet into a register.
    Payload {
        /// `NFT_PAYLOAD_…`: 0 link, 1 network, 2 transport.
        base: u32,
        /// Bytes to pass over.
        offset: u32,
        /// Bytes to take.
        length: u32,
        /// Where to.
        into: u32,
    },
    /// Goes on if a comparison holds.
    Compare {
        /// The register.
        register: u32,
        /// How.
        comparison: Comparison,
        /// With what.
        value: Vec<u8>,
    },
    /// Goes on if a register is within, or not within, a range.
    Range {
        /// The register.
        register: u32,
        /// Whether it must not be within.
        is_inverted: bool,
        /// The first value within.
        first: Vec<u8>,
        /// The last value within.
        last: Vec<u8>,
    },
    /// `into = (from & mask) ^ xor`.
    Bitwise {
        /// The register taken.
        from: u32,
        /// The register set.
        into: u32,
        /// Which bits stay.
        mask: Vec<u8>,
        /// Which bits turn.
        xor: Vec<u8>,
    },
    /// A value into a register, or a verdict.
    Immediate {
        /// Where to.
        into: u32,
        /// What.
        data: Data,
    },
    /// Goes on if a set has, or has not, what a register holds; a map sets a register.
    Lookup {
        /// The set's name.
        set: String,
        /// The register looked up.
        from: u32,
        /// The register set.
        into: Option<u32>,
        /// Whether it must not be there.
        is_inverted: bool,
    },
    /// Something about the connection (`NFT_CT_…`) into a register.
    Connection {
        /// What.
        key: u32,
        /// Of which direction.
        direction: Option<u8>,
        /// Where to.
        into: u32,
    },
    /// A register into something about the connection.
    SetConnection {
        /// What.
        key: u32,
        /// Of which direction.
        direction: Option<u8>,
        /// Where from.
        from: u32,
    },
    /// What routing says of the packet's addresses, into a register.
    Fib {
        /// `NFT_FIB_RESULT_…`.
        result: u32,
        /// `NFTA_FIB_F_…`.
        flags: u32,
        /// Where to.
        into: u32,
    },
    /// Changes addresses or ports.
    Nat {
        /// Whether of the source, not of the destination.
        of_source: bool,
        /// The address family.
        family: u32,
        /// The registers with first and last address.
        addresses: (Option<u32>, Option<u32>),
        /// The registers with first and last port.
        ports: (Option<u32>, Option<u32>),
        /// `NF_NAT_RANGE_…`.
        flags: u32,
    },
    /// The source becomes the address of the link the packet leaves through.
    Masquerade {
        /// `NF_NAT_RANGE_…`.
        flags: u32,
    },
    /// The destination becomes the host itself.
    Redirect {
        /// The registers with first and last port.
        ports: (Option<u32>, Option<u32>),
    },
    /// Refuses the packet and says so.
    Reject {
        /// `NFT_REJECT_…`.
        kind: u32,
        /// The ICMP code.
        code: u8,
    },
    /// Counts.
    Counter {
        /// Packets so far.
        packets: u64,
        /// Bytes so far.
        bytes: u64,
    },
    /// A match of iptables.
    Match {
        /// Its name.
        name: String,
        /// Its revision.
        revision: u32,
        /// Its structure.
        info: Vec<u8>,
    },
    /// A target of iptables.
    Target {
        /// Its name.
        name: String,
        /// Its revision.
        revision: u32,
        /// Its structure.
        info: Vec<u8>,
    },
    /// Anything else: its name, and its attributes as the kernel encodes them.
    Other {
        /// Its name.
        name: String,
        /// Numbers and values.
        attributes: Vec<(u16, Vec<u8>)>,
    },
}

/// What a rule or a map yields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// Bytes.
    Value(Vec<u8>),
    /// What becomes of the packet.
    Verdict(Verdict),
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on to the next base chain.
    Accept,
    /// It is gone.
    Drop,
    /// The calling chain goes on.
    Return,
    /// The next rule is asked.
    Continue,
    /// Another chain is asked, then this one goes on.
    Jump(String),
    /// Another chain is asked instead.
    Goto(String),
    /// Another one, by its number.
    Other(u32),
}

/// A set or map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// Its name.
    pub name: String,
    /// Its number.
    pub handle: u64,
    /// `NFT_SET_…`: 1 anonymous, 4 intervals, 8 map.
    pub flags: u32,
    /// The type of its keys, a number of `nft`.
    pub key_type: u32,
    /// Bytes of a key.
    pub key_length: u32,
    /// The type of what it maps to.
    pub data_type: Option<u32>,
    /// Milliseconds after which elements go.
    pub timeout: Option<u64>,
    /// What is in it.
    pub elements: Vec<Element>,
}

/// An element of a set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// The key; nothing for what is there for all others.
    pub key: Vec<u8>,
    /// The end of a range of keys.
    pub last: Option<Vec<u8>>,
    /// What it maps to.
    pub data: Option<Data>,
    /// `NFT_SET_ELEM_…`: 1 ends an interval.
    pub flags: u32,
    /// Milliseconds until it goes.
    pub expires: Option<u64>,
    /// What somebody noted.
    pub comment: Option<String>,
}

/// What rules and maps refer to by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its name.
    pub name: String,
    /// Its number.
    pub handle: u64,
    /// What it is.
    pub state: ObjectState,
    /// What somebody noted.
    pub comment: Option<String>,
}

/// What an object is, and how it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectState {
    /// Counts.
    Counter {
        /// Packets so far.
        packets: u64,
        /// Bytes so far.
        bytes: u64,
    },
    /// Says yes until so much has passed.
    Quota {
        /// How much, in bytes.
        bytes: u64,
        /// How much so far.
        used: u64,
        /// Whether it says yes only after that.
        is_inverted: bool,
    },
    /// Says yes so often.
    Limit {
        /// How much in each period.
        rate: u64,
        /// The period in seconds.
        seconds: u64,
        /// How much may come at once.
        burst: u32,
        /// Whether bytes are meant, not packets.
        of_bytes: bool,
        /// Whether it says yes only beyond.
        is_inverted: bool,
    },
    /// Follows a protocol that names further connections.
    Helper {
        /// The protocol's name, as `ftp`.
        name: String,
        /// The address family's number; 0 for all.
        family: u16,
        /// The protocol above IP.
        protocol: u8,
    },
    /// Anything else: its kind (`NFT_OBJECT_…`), and its attributes as the kernel encodes them.
    Other {
        /// The kind.
        kind: u32,
        /// Numbers and values.
        attributes: Vec<(u16, Vec<u8>)>,
    },
}

/// A table of connections that go past the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowTable {
    /// Its name.
    pub name: String,
    /// Its number.
    pub handle: u64,
    /// `NFT_FLOWTABLE_…`: 1 in hardware, 2 counts.
    pub flags: u32,
    /// Where packets meet it: `NF_NETDEV_…`.
    pub hook: u32,
    /// The lowest is asked first.
    pub priority: i32,
    /// The links it is for.
    pub devices: Vec<String>,
}
