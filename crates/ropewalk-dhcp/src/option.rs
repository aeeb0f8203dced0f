//! The numbers of the options that a client uses, and the names that configurations may give them.

/// The network's mask.
pub const SUBNET_MASK: u8 = 1;
/// Routers, best first.
pub const ROUTERS: u8 = 3;
/// Name servers, best first.
pub const NAME_SERVERS: u8 = 6;
/// The client's name.
pub const HOST_NAME: u8 = 12;
/// The client's domain.
pub const DOMAIN_NAME: u8 = 15;
/// The link's MTU.
pub const INTERFACE_MTU: u8 = 26;
/// Routes to classful networks.
pub const STATIC_ROUTES: u8 = 33;
/// The address that a client asks for.
pub const REQUESTED_ADDRESS: u8 = 50;
/// How long an address is leased.
pub const LEASE_TIME: u8 = 51;
/// Which of the fields `sname` and `file` hold options too.
pub const OVERLOAD: u8 = 52;
/// What a message is.
pub const MESSAGE_TYPE: u8 = 53;
/// The server that a message comes from or is for.
pub const SERVER_IDENTIFIER: u8 = 54;
/// The options that a client asks for.
pub const PARAMETER_LIST: u8 = 55;
/// What a server or a client has to say to people.
pub const TEXT: u8 = 56;
/// The longest message that a client takes.
pub const LONGEST_MESSAGE: u8 = 57;
/// T1, after which a lease is renewed.
pub const RENEWAL_TIME: u8 = 58;
/// T2, after which any server is asked to renew a lease.
pub const REBINDING_TIME: u8 = 59;
/// What kind of device a client is.
pub const VENDOR_CLASS: u8 = 60;
/// Who a client is.
pub const CLIENT_IDENTIFIER: u8 = 61;
/// What kind of user a client has.
pub const USER_CLASS: u8 = 77;
/// Domains in which to look names up (RFC 3397).
pub const DOMAIN_SEARCH: u8 = 119;
/// Routes with masks (RFC 3442).
pub const CLASSLESS_ROUTES: u8 = 121;

/// The names that the reference plugin knows; every option has its number besides.
const NAMES: [(&str, u8); 6] = [
    ("dhcp-client-identifier", CLIENT_IDENTIFIER),
    ("subnet-mask", SUBNET_MASK),
    ("routers", ROUTERS),
    ("host-name", HOST_NAME),
    ("user-class", USER_CLASS),
    ("vendor-class-identifier", VENDOR_CLASS),
];

/// The option of this name.
pub fn named(name: &str) -> Option<u8> {
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, code)| *code)
}
