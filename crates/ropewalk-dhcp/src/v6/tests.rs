//! A client against a server of a few lines, and messages of any bytes.

use alloc::{vec, vec::Vec};
use core::{net::Ipv6Addr, time::Duration};

use super::{
    Client, Grant, Identity, InvalidMessage, Kind, Message, Options, duid_of_uuid, option,
};
use crate::{Event, Pace, State, Transmission, random::Random};

const ADDRESS: Ipv6Addr = Ipv6Addr::new(0xfd00, 9, 0, 0, 0, 0, 0, 0x10);
const OTHER: Ipv6Addr = Ipv6Addr::new(0xfd00, 9, 0, 0, 0, 0, 0, 0x11);
const SERVER: [u8; 10] = [0, 3, 0, 1, 2, 0, 0, 0, 0, 9];
const NUMBER: u32 = 7;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn identity() -> Identity {
    Identity { identifier: duid_of_uuid([5; 16]), number: NUMBER }
}

fn client() -> Client {
    Client::new(identity(), Pace::default(), 7)
}

fn addresses(number: u32, times: [u32; 2], addresses: &[(Ipv6Addr, u32)]) -> Vec<u8> {
    let mut options = Options::default();
    for (address, valid) in addresses {
        let valid = valid.to_be_bytes();
        options.push(option::ADDRESS, [address.octets().as_slice(), &valid, &valid].concat());
    }
    let times: Vec<u8> = times.iter().flat_map(|time| time.to_be_bytes()).collect();
    [number.to_be_bytes().as_slice(), &times, &options.to_bytes()].concat()
}

/// What a server answers to a message, without addresses.
fn bare(kind: Kind, request: &Message) -> Message {
    let mut message = Message::new(kind, request.transaction);
    message.options.push(option::CLIENT_IDENTIFIER, identity().identifier);
    message.options.push(option::SERVER_IDENTIFIER, SERVER);
    message
}

fn answer(kind: Kind, request: &Message, address: Ipv6Addr) -> Message {
    let mut message = bare(kind, request);
    message.options.push(option::IA_NA, addresses(NUMBER, [0, 0], &[(address, 1000)]));
    message.options.push(option::NAME_SERVERS, OTHER.octets());
    message.options.push(option::DOMAINS, *b"\x03lab\x07example\0");
    message
}

#[track_caller]
fn sent(transmission: &Transmission) -> Message {
    Message::parse(transmission.frame.as_ref().expect("a message")).unwrap()
}

/// The address of a client's message.
fn asked(message: &Message) -> Option<Vec<u8>> {
    let addresses = Options::parse(&message.options.get(option::IA_NA)?[12..])?;
    Some(addresses.get(option::ADDRESS)?[..16].to_vec())
}

/// A client that was granted an address at second 0: T1 is 500, T2 800, the end 1000.
fn bound() -> Client {
    let mut client = client();
    let solicit = sent(&client.start(Duration::ZERO));
    let advertise = answer(Kind::Advertise, &solicit, ADDRESS);
    let request = sent(&client.receive(Duration::ZERO, &advertise));
    assert_eq!(request.kind, Kind::Request);
    assert_eq!(request.options.get(option::SERVER_IDENTIFIER), Some(&SERVER[..]));
    assert_eq!(asked(&request), Some(ADDRESS.octets().to_vec()));
    let reply = answer(Kind::Reply, &request, ADDRESS);
    assert_eq!(client.receive(Duration::ZERO, &reply), Event::Granted.into());
    client
}

/// What happens when nothing happens until the next deadline.
fn silence(client: &mut Client) -> (Duration, Transmission) {
    let now = client.deadline().expect("a deadline");
    (now, client.wake(now))
}

#[test]
fn an_address_is_solicited_requested_and_granted() {
    let mut client = client();
    let solicit = sent(&client.start(seconds(100)));
    assert_eq!(solicit.kind, Kind::Solicit);
    assert_eq!(solicit.options.get(option::CLIENT_IDENTIFIER).map(<[u8]>::len), Some(18));
    assert_eq!(solicit.options.get(option::REQUESTED), Some(&[0, 23, 0, 24, 0, 82][..]));
    assert_eq!(solicit.options.get(option::ELAPSED_TIME), Some(&[0, 0][..]));
    assert_eq!((solicit.options.get(option::SERVER_IDENTIFIER), asked(&solicit)), (None, None));
    let (now, again) = silence(&mut client);
    assert!(now < seconds(100) + Duration::from_millis(60), "{now:?}");
    assert_eq!(sent(&again).transaction, solicit.transaction);

    let client = bound();
    assert_eq!((client.state(), client.deadline()), (State::Bound, Some(seconds(500))));
    let lease = &client.grant().unwrap().lease;
    assert_eq!((lease.address, &*lease.name_servers), (ADDRESS, &[OTHER][..]));
    assert_eq!(lease.search, ["lab.example"]);
    assert_eq!((lease.rebinding, lease.lifetime), (Some(seconds(800)), Some(seconds(1000))));
}

#[test]
fn answers_that_are_not_ours_or_grant_nothing_change_nothing() {
    let mut client = client();
    let solicit = sent(&client.start(Duration::ZERO));
    let offer = answer(Kind::Advertise, &solicit, ADDRESS);
    let with = |code: u16, bytes: &[u8]| {
        let mut message = bare(Kind::Advertise, &solicit);
        message.options.push(code, bytes);
        message
    };
    let mut foreign = Message::new(Kind::Advertise, solicit.transaction);
    foreign.options.push(option::CLIENT_IDENTIFIER, duid_of_uuid([6; 16]));
    foreign.options.push(option::SERVER_IDENTIFIER, SERVER);
    foreign.options.push(option::IA_NA, addresses(NUMBER, [0, 0], &[(ADDRESS, 1000)]));
    for message in [
        Message { transaction: solicit.transaction ^ 1, ..offer.clone() },
        foreign,
        answer(Kind::Reply, &solicit, ADDRESS),
        answer(Kind::Advertise, &solicit, Ipv6Addr::LOCALHOST),
        bare(Kind::Advertise, &solicit),
        with(option::STATUS, &[0, 2]),
        with(option::IA_NA, &addresses(NUMBER + 1, [0, 0], &[(ADDRESS, 1000)])),
        with(option::IA_NA, &addresses(NUMBER, [0, 0], &[])),
    ] {
        assert_eq!(client.receive(Duration::ZERO, &message), Transmission::default());
        assert_eq!(client.state(), State::Selecting);
    }
}

#[test]
fn a_refused_request_leads_back_to_the_start_after_a_pause() {
    let mut client = client();
    let solicit = sent(&client.start(Duration::ZERO));
    let advertise = answer(Kind::Advertise, &solicit, ADDRESS);
    let request = sent(&client.receive(Duration::ZERO, &advertise));
    let mut refusal = bare(Kind::Reply, &request);
    refusal.options.push(option::STATUS, [0, 4]);
    assert_eq!(client.receive(Duration::ZERO, &refusal), Transmission::default());
    assert_eq!(client.state(), State::Init);
    assert_eq!(sent(&silence(&mut client).1).kind, Kind::Solicit);
}

#[test]
fn a_lease_is_renewed_then_rebound_and_then_ends() {
    let mut client = bound();
    let (now, transmission) = silence(&mut client);
    let renew = sent(&transmission);
    assert_eq!((now, renew.kind), (seconds(500), Kind::Renew));
    assert_eq!(renew.options.get(option::SERVER_IDENTIFIER), Some(&SERVER[..]));
    assert_eq!(asked(&renew), Some(ADDRESS.octets().to_vec()));
    let mut renewed = client.clone();
    let reply = answer(Kind::Reply, &renew, ADDRESS);
    assert_eq!(renewed.receive(seconds(501), &reply), Event::Granted.into());
    assert_eq!(renewed.deadline(), Some(seconds(1000)));

    let mut rebind = None;
    let end = loop {
        let (now, transmission) = silence(&mut client);
        if transmission.event.is_some() {
            break (now, transmission);
        }
        let message = sent(&transmission);
        if message.kind == Kind::Rebind {
            rebind.get_or_insert((now, message));
        }
    };
    let (now, rebind) = rebind.unwrap();
    assert_eq!((now, rebind.options.get(option::SERVER_IDENTIFIER)), (seconds(800), None));
    assert_eq!(end, (seconds(1000), Event::Expired.into()));
}

#[test]
fn the_server_may_take_the_address_back_and_others_may_not() {
    let zero = addresses(NUMBER, [0, 0], &[(ADDRESS, 0), (OTHER, 1000)]);
    let other = addresses(NUMBER, [0, 0], &[(OTHER, 1000)]);
    for (code, bytes) in
        [(option::STATUS, vec![0, 3]), (option::IA_NA, zero), (option::IA_NA, other)]
    {
        let mut client = bound();
        let renew = sent(&silence(&mut client).1);
        let mut foreign = Message::new(Kind::Reply, renew.transaction);
        foreign.options.push(option::CLIENT_IDENTIFIER, identity().identifier);
        foreign.options.push(option::SERVER_IDENTIFIER, [0, 3, 1]);
        foreign.options.push(code, bytes.clone());
        assert_eq!(client.receive(seconds(501), &foreign), Transmission::default());
        let mut reply = bare(Kind::Reply, &renew);
        reply.options.push(code, bytes);
        assert_eq!(client.receive(seconds(501), &reply), Event::Refused.into());
        assert_eq!((client.state(), client.deadline()), (State::Init, None));
    }
}

#[test]
fn an_address_is_given_back_until_the_server_has_heard() {
    let mut client = bound();
    let release = client.release(seconds(5)).unwrap();
    let message = Message::parse(&release.message()).unwrap();
    assert_eq!((message.kind, asked(&message)), (Kind::Release, Some(ADDRESS.octets().to_vec())));
    assert_eq!(message.options.get(option::SERVER_IDENTIFIER), Some(&SERVER[..]));
    assert!(release.is_answered_by(&bare(Kind::Reply, &message).to_bytes()));
    assert!(!release.is_answered_by(&bare(Kind::Advertise, &message).to_bytes()));
    assert_eq!((client.deadline(), client.release(seconds(6))), (None, None));
}

#[test]
fn a_lease_from_before_is_used_until_it_has_to_be_renewed() {
    let grant = bound().grant().unwrap().clone();
    let read = Message::parse(&grant.reply.to_bytes()).unwrap();
    assert_eq!(Grant::new(read, Duration::ZERO).as_ref(), Some(&grant));
    assert_eq!(client().resume(seconds(400), grant.clone()), Transmission::default());
    assert_eq!(sent(&client().resume(seconds(600), grant.clone())).kind, Kind::Rebind);
    assert_eq!(client().resume(seconds(1000), grant), Event::Expired.into());
}

#[test]
fn times_have_defaults_and_an_order() {
    let times = |times: [u32; 2], valid: u32| {
        let mut reply = bare(Kind::Reply, &Message::new(Kind::Request, 1));
        reply.options.push(option::IA_NA, addresses(NUMBER, times, &[(ADDRESS, valid)]));
        let lease = Grant::new(reply, Duration::ZERO).unwrap().lease;
        [lease.renewal, lease.rebinding, lease.lifetime].map(|time| time.map(|time| time.as_secs()))
    };
    assert_eq!(times([0, 0], 100), [Some(50), Some(80), Some(100)]);
    assert_eq!(times([20, 60], 100), [Some(20), Some(60), Some(100)]);
    assert_eq!(times([70, 60], 100), [Some(50), Some(80), Some(100)]);
    assert_eq!(times([20, 600], 100), [Some(50), Some(80), Some(100)]);
    assert_eq!(times([0, 0], u32::MAX), [None; 3]);
    assert_eq!(times([20, 60], u32::MAX), [Some(20), Some(60), None]);
    assert_eq!(times([0, 0], 1), [Some(1); 3]);
}

#[test]
fn no_bytes_make_it_panic() {
    let whole = answer(Kind::Reply, &Message::new(Kind::Request, 1), ADDRESS).to_bytes();
    for length in 0..4 {
        assert_eq!(Message::parse(&whole[..length]), Err(InvalidMessage));
    }
    let client = bound();
    let mut random = Random(1);
    let mut understood = 0_u32;
    for _ in 0..30_000 {
        let mut bytes = whole.clone();
        for _ in 0..=random.below(3) {
            let position = random.below(bytes.len());
            bytes[position] = random.u32().to_be_bytes()[0];
        }
        if random.below(9) == 0 {
            bytes.truncate(random.below(bytes.len()));
        }
        let Ok(message) = Message::parse(&bytes) else { continue };
        understood += u32::from(Grant::new(message.clone(), seconds(1)).is_some());
        let _ = client.clone().receive(seconds(1), &message);
        assert_eq!(Message::parse(&message.to_bytes()), Ok(message));
    }
    assert!(understood > 5_000, "{understood} messages were understood");
}
