//! The client against buses that are broken in every way, and against its own bytes.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    thread,
    time::{Duration, Instant},
};

use super::{
    client::{Bus, CallError},
    message::{Activation, FIXED, Incoming, MethodCall, Reply, decode, length},
};

const CALL: MethodCall<'static> = MethodCall {
    destination: "org.example",
    path: "/org/example",
    interface: "org.example.Zone",
    member: "addSource",
    arguments: &["trusted", "10.1.2.3/32"],
    activation: Activation::Leave,
};

/// Long enough for a thread to answer on a busy machine.
const PATIENT: Duration = Duration::from_secs(20);
/// Long enough to see that nobody answers.
const IMPATIENT: Duration = Duration::from_millis(20);

/// A header field: its code, the letter of its type, its value.
type Field = (u8, u8, Vec<u8>);

fn word(number: u32) -> Vec<u8> {
    number.to_le_bytes().to_vec()
}

fn text(text: &str) -> Vec<u8> {
    [word(text.len().try_into().unwrap()), text.into(), vec![0]].concat()
}

fn signature(letters: &str) -> Vec<u8> {
    [vec![letters.len().try_into().unwrap()], letters.into(), vec![0]].concat()
}

fn message(kind: u8, header: &[Field], body: &[u8]) -> Vec<u8> {
    let mut fields = Vec::new();
    for (code, letter, value) in header {
        fields.resize(fields.len().next_multiple_of(8), 0);
        fields.extend([*code, 1, *letter, 0]);
        fields.extend(value);
    }
    let lengths =
        [body.len(), 7, fields.len()].map(|length| word(length.try_into().unwrap())).concat();
    let mut bytes = [&[b'l', kind, 0, 1], &lengths[..], &fields].concat();
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    [bytes, body.into()].concat()
}

fn returned(serial: u32, letters: &str, body: &[u8]) -> Vec<u8> {
    let sender = (7, b's', text(":1.7"));
    message(2, &[(5, b'u', word(serial)), (8, b'g', signature(letters)), sender], body)
}

fn refused(serial: u32, name: &str, said: &str) -> Vec<u8> {
    let header = [(4, b's', text(name)), (5, b'u', word(serial)), (8, b'g', signature("s"))];
    message(3, &header, &text(said))
}

fn signal() -> Vec<u8> {
    let header = [(1, b'o', text("/org/freedesktop/DBus")), (3, b's', text("NameAcquired"))];
    message(4, &header, &[])
}

#[test]
fn a_call_is_these_bytes() {
    let call = MethodCall { path: "/p", interface: "i", member: "m", destination: "d", ..CALL };
    let mut expected = b"l\x01\x02\x01".to_vec();
    expected.extend([word(28), word(9), word(72)].concat());
    expected.extend(b"\x01\x01o\0\x02\0\0\0/p\0\0\0\0\0\0");
    expected.extend(b"\x06\x01s\0\x01\0\0\0d\0\0\0\0\0\0\0");
    expected.extend(b"\x02\x01s\0\x01\0\0\0i\0\0\0\0\0\0\0");
    expected.extend(b"\x03\x01s\0\x01\0\0\0m\0\0\0\0\0\0\0");
    expected.extend(b"\x08\x01g\0\x02ss\0");
    expected.resize(expected.len().next_multiple_of(8), 0);
    expected.extend([text("trusted"), text("10.1.2.3/32")].concat());
    assert_eq!(call.encode(9), expected);
}

#[test]
fn replies_are_read() {
    let of = |bytes: &[u8]| decode(bytes);
    let reply = |reply| Some(Incoming::Returned { serial: 3, reply });
    assert_eq!(of(&returned(3, "b", &word(1))), reply(Reply::Boolean(true)));
    assert_eq!(of(&returned(3, "b", &word(0))), reply(Reply::Boolean(false)));
    assert_eq!(of(&returned(3, "s", &text("trusted"))), reply(Reply::Text("trusted".into())));
    assert_eq!(of(&returned(3, "", &[])), reply(Reply::Nothing));
    assert_eq!(of(&returned(3, "as", &word(0))), reply(Reply::Nothing));
    let (name, text) = ("org.example.Error".to_owned(), "NOT_ENABLED: no".to_owned());
    let expected = Incoming::Refused { serial: 3, name: name.clone(), text: text.clone() };
    assert_eq!(of(&refused(3, &name, &text)), Some(expected));
    assert_eq!(of(&signal()), Some(Incoming::Other));
}

#[test]
fn the_other_order_of_bytes_is_read() {
    let mut bytes = vec![b'B', 2, 0, 1];
    for number in [4_u32, 7, 15] {
        bytes.extend(number.to_be_bytes());
    }
    bytes.extend(b"\x05\x01u\0\0\0\0\x03\x08\x01g\0\x01b\0\0\0\0\0\x01");
    let fixed: [u8; FIXED] = bytes[..FIXED].try_into().unwrap();
    assert_eq!(length(&fixed), Some(bytes.len()));
    let expected = Incoming::Returned { serial: 3, reply: Reply::Boolean(true) };
    assert_eq!(decode(&bytes), Some(expected));
}

#[test]
fn no_bytes_make_the_reader_panic() {
    let samples =
        [returned(3, "s", &text("trusted")), refused(3, "org.example.Error", "no"), signal()];
    for sample in &samples {
        for end in 0..sample.len() {
            let _ = decode(&sample[..end]);
        }
        for at in 0..sample.len() {
            for value in 0..=255 {
                let mut broken = sample.clone();
                broken[at] = value;
                let _ = decode(&broken);
                let _ = length(&broken[..FIXED].try_into().unwrap());
            }
        }
        for at in 0..sample.len() - 4 {
            let mut broken = sample.clone();
            broken[at..at + 4].fill(0xff);
            let _ = decode(&broken);
            let _ = length(&broken[..FIXED].try_into().unwrap());
        }
    }
}

#[test]
fn a_message_too_long_or_of_another_protocol_is_not_waited_for() {
    let fixed = |bytes: Vec<u8>| length(&bytes.try_into().unwrap());
    let header = |body: u32, fields: u32| [word(body), word(1), word(fields)].concat();
    let little = |lengths: Vec<u8>| [b"l\x02\0\x01".to_vec(), lengths].concat();
    assert_eq!(fixed(little(header(8, 9))), Some(16 + 16 + 8));
    assert_eq!(fixed(little(header(2 << 20, 0))), None);
    assert_eq!(fixed(little(header(0, u32::MAX))), None);
    assert_eq!(fixed(little(header(u32::MAX, u32::MAX))), None);
    assert_eq!(fixed(b"l\x02\0\x02\0\0\0\0\0\0\0\0\0\0\0\0".to_vec()), None);
    assert_eq!(fixed(b"HTTP/1.1 400 Bad".to_vec()), None);
}

/// A bus that answers one entry of the script to each line or message it gets; the greeting and
/// the answer to Hello are two entries, since BEGIN is answered with nothing.
fn bus(script: Vec<Vec<u8>>) -> (Result<Bus, CallError>, thread::JoinHandle<Vec<u8>>) {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let server = thread::spawn(move || {
        let mut seen = Vec::new();
        for answer in script {
            let mut buffer = [0; 4096];
            let mut count = theirs.read(&mut buffer).unwrap_or(0);
            if buffer.starts_with(b"BEGIN\r\n") && count == 7 {
                seen.extend(&buffer[..count]);
                count = theirs.read(&mut buffer).unwrap_or(0);
            }
            seen.extend(&buffer[..count]);
            // Whoever is not understood hangs up.
            let _ = theirs.write_all(&answer);
        }
        seen
    });
    (Bus::enter(ours, PATIENT), server)
}

const WELCOME: &[u8] = b"OK 0123456789abcdef0123456789abcdef\r\n";

fn hello() -> Vec<u8> {
    [returned(1, "s", &text(":1.7")), signal()].concat()
}

/// What becomes of a call that is answered so.
#[track_caller]
fn answered(answer: Vec<u8>) -> Result<Reply, CallError> {
    let (bus, server) = bus(vec![WELCOME.into(), hello(), answer]);
    let answer = bus.expect("the bus lets us in").call(&CALL, PATIENT);
    let seen = server.join().unwrap();
    assert!(seen.starts_with(b"\0AUTH EXTERNAL 3"), "{}", seen.escape_ascii());
    assert!(seen.ends_with(&CALL.encode(2)), "{}", seen.escape_ascii());
    answer
}

#[test]
fn the_answer_to_the_call_is_picked_out() {
    let others = [signal(), returned(1, "b", &word(0)), refused(77, "a.b", "c")].concat();
    let answer = [others, returned(2, "b", &word(1))].concat();
    assert_eq!(answered(answer), Ok(Reply::Boolean(true)));
    let refusal = CallError::Refused { name: "a.b".into(), text: "NOT_ENABLED".into() };
    assert_eq!(answered(refused(2, "a.b", "NOT_ENABLED")), Err(refusal));
}

#[test]
fn of_an_error_the_first_line_that_says_something_is_quoted() {
    let quoted = |text: &str| {
        let refusal = CallError::Refused { name: "a.b".into(), text: text.into() };
        ropewalk_netstate::KernelError::from(refusal).reason
    };
    assert_eq!(
        quoted("COMMAND_FAILED: 'nft' failed\nJSON blob:\n{}"),
        "COMMAND_FAILED: 'nft' failed"
    );
    assert_eq!(quoted("\n \nPANIC_MODE\n"), "PANIC_MODE");
    assert_eq!(quoted(""), "a.b");
    assert_eq!(quoted(&"é".repeat(1000)).chars().count(), 512);
}

#[test]
fn a_bus_that_goes_or_babbles_is_an_error() {
    assert!(matches!(answered(vec![]), Err(CallError::Gone(_))));
    let half = returned(2, "b", &word(1))[..20].to_vec();
    assert!(matches!(answered(half), Err(CallError::Gone(_))));
    assert!(matches!(answered(vec![b'x'; 64]), Err(CallError::Failed(_))));
    let without_serial = message(2, &[(8, b'g', signature("b"))], &word(1));
    assert!(matches!(answered(without_serial), Err(CallError::Failed(_))));
}

#[test]
fn a_bus_that_lets_nobody_in_is_an_error() {
    for (greeting, gone) in
        [("REJECTED EXTERNAL\r\n", false), ("OK", true), ("", true), ("\n", false)]
    {
        let (bus, server) = bus(vec![greeting.into()]);
        let error = bus.expect_err("nobody is let in");
        assert_eq!(matches!(error, CallError::Gone(_)), gone, "{greeting:?}: {error:?}");
        server.join().unwrap();
    }
    let (endless, server) = bus(vec![vec![b'x'; 4096]]);
    assert!(matches!(endless, Err(CallError::Failed(_))));
    server.join().unwrap();
}

#[test]
fn a_silent_bus_is_not_waited_for() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let start = Instant::now();
    let error = Bus::enter(ours, IMPATIENT).expect_err("nobody answers");
    let CallError::Failed(error) = error else { panic!("{error:?}") };
    assert_eq!(error.reason, "no answer on the system bus in time");
    assert!(start.elapsed() < PATIENT);
}

#[test]
fn a_chattering_bus_is_not_listened_to_for_ever() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let chatter = thread::spawn(move || {
        let greeting = [WELCOME, &hello()].concat();
        let mut outcome = theirs.write_all(&greeting);
        while outcome.is_ok() {
            outcome = theirs.write_all(&signal());
        }
    });
    let mut bus = Bus::enter(ours, PATIENT).unwrap();
    let answer = bus.call(&CALL, IMPATIENT);
    assert!(matches!(answer, Err(CallError::Failed(_))), "{answer:?}");
    drop(bus);
    chatter.join().unwrap();
}

#[test]
fn what_a_bus_would_hang_up_for_is_not_sent() {
    let (bus, server) = bus(vec![WELCOME.into(), hello()]);
    let mut bus = bus.unwrap();
    for argument in ["tru\0sted", &"x".repeat(100_000)] {
        let call = MethodCall { arguments: &[argument], ..CALL };
        assert!(matches!(bus.call(&call, PATIENT), Err(CallError::Failed(_))));
    }
    drop(bus);
    let seen = server.join().unwrap();
    assert!(seen.ends_with(b"Hello\0\0\0"), "{}", seen.escape_ascii());
}
