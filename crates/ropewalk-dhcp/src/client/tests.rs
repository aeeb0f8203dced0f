//! A client against a server of a few lines, on a clock that is moved by hand.

use alloc::{vec, vec::Vec};
use core::{net::Ipv4Addr, time::Duration};

use ropewalk_addr::Mac;

use super::{Client, Event, Grant, Identity, Pace, State, Transmission};
use crate::{
    message::{Kind, Message},
    option,
    options::Options,
};

const HARDWARE: Mac = Mac([2, 0, 0, 0, 0, 1]);
const STATION: Mac = Mac([2, 0, 0, 0, 0, 9]);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 5);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn client() -> Client {
    let mut options = Options::default();
    options.set(option::CLIENT_IDENTIFIER, *b"\0c1/net/eth0");
    options.set(option::HOST_NAME, *b"web");
    let identity =
        Identity { hardware: HARDWARE, broadcast: true, options, wanted: vec![1, 3, 121] };
    Client::new(identity, Pace::default(), 7)
}

/// A frame of a client: where it goes, from where, and what it says.
struct Sent {
    station: Mac,
    source: Ipv4Addr,
    target: Ipv4Addr,
    message: Message,
}

#[track_caller]
fn sent(transmission: &Transmission) -> Sent {
    let frame = transmission.frame.as_ref().expect("a frame");
    read(frame)
}

fn read(frame: &[u8]) -> Sent {
    let address = |start: usize| -> Ipv4Addr {
        let bytes: [u8; 4] = frame[start..start + 4].try_into().unwrap();
        bytes.into()
    };
    assert_eq!(frame[6..12], HARDWARE.0);
    assert_eq!(frame[34..38], [0, 68, 0, 67]);
    Sent {
        station: Mac(frame[..6].try_into().unwrap()),
        source: address(26),
        target: address(30),
        message: Message::parse(&frame[42..]).unwrap(),
    }
}

/// What a server answers to a message.
fn answer(kind: Kind, request: &Message, address: Ipv4Addr) -> Message {
    let mut message = Message::request(kind, request.transaction, HARDWARE);
    message.is_reply = true;
    message.options.set(option::SERVER_IDENTIFIER, SERVER.octets());
    if kind != Kind::Nak {
        message.your_address = address;
        message.options.set(option::SUBNET_MASK, [255, 255, 255, 0]);
        message.options.set(option::LEASE_TIME, 1000_u32.to_be_bytes());
    }
    message
}

/// A client that was granted an address at second 0: T1 is 500, T2 875, the end 1000.
fn bound() -> Client {
    let mut client = client();
    let discover = sent(&client.start(Duration::ZERO)).message;
    let offer = answer(Kind::Offer, &discover, ADDRESS);
    let request = sent(&client.receive(Duration::ZERO, STATION, &offer)).message;
    let ack = answer(Kind::Ack, &request, ADDRESS);
    let granted = client.receive(Duration::ZERO, STATION, &ack);
    assert_eq!(granted, Event::Granted.into());
    client
}

/// What happens when nothing happens until the next deadline.
fn silence(client: &mut Client) -> (Duration, Transmission) {
    let now = client.deadline().expect("a deadline");
    (now, client.wake(now))
}

#[test]
fn an_address_is_discovered_requested_and_granted() {
    let mut client = client();
    let discover = sent(&client.start(seconds(100)));
    assert_eq!((discover.station, discover.target), (Mac([255; 6]), Ipv4Addr::BROADCAST));
    assert_eq!((discover.message.kind, discover.message.broadcast), (Kind::Discover, true));
    assert_eq!(discover.message.options.get(option::PARAMETER_LIST), Some(&[1, 3, 121][..]));
    assert_eq!(discover.message.options.get(option::HOST_NAME), Some(&b"web"[..]));
    assert_eq!(discover.message.options.get(option::REQUESTED_ADDRESS), None);
    let offer = answer(Kind::Offer, &discover.message, ADDRESS);
    let request = sent(&client.receive(seconds(100), STATION, &offer));
    assert_eq!((client.state(), request.target), (State::Requesting, Ipv4Addr::BROADCAST));
    assert_eq!(request.message.options.address(option::REQUESTED_ADDRESS), Some(ADDRESS));
    assert_eq!(request.message.options.address(option::SERVER_IDENTIFIER), Some(SERVER));
    assert_eq!(request.message.transaction, discover.message.transaction);
    let ack = answer(Kind::Ack, &request.message, ADDRESS);
    assert_eq!(client.receive(seconds(101), STATION, &ack), Event::Granted.into());
    assert_eq!(client.state(), State::Bound);
    assert_eq!(client.deadline(), Some(seconds(600)));
    assert_eq!(client.grant().unwrap().lease.prefix_length, Some(24));
}

#[test]
fn the_first_repetition_comes_at_once_and_pauses_double() {
    let mut client = client();
    let first = sent(&client.start(Duration::ZERO)).message.transaction;
    let mut times = Vec::new();
    let gave_up = loop {
        let (now, transmission) = silence(&mut client);
        if transmission.event.is_some() {
            break (now, transmission);
        }
        assert_eq!(sent(&transmission).message.transaction, first);
        times.push(now);
    };
    assert!(times[0] < Duration::from_millis(60), "{times:?}");
    assert!(times.windows(2).all(|pair| pair[1] <= pair[0] + seconds(69)), "{times:?}");
    assert!((11..17).contains(&times.len()), "{times:?}");
    assert_eq!(gave_up, (seconds(208), Event::GaveUp.into()));
    assert_eq!(client.deadline(), None);
}

#[test]
fn an_offer_is_pursued_for_a_while_and_then_forgotten() {
    let mut client = client();
    let discover = sent(&client.start(Duration::ZERO)).message;
    let offer = answer(Kind::Offer, &discover, ADDRESS);
    client.receive(Duration::ZERO, STATION, &offer);
    loop {
        let (now, transmission) = silence(&mut client);
        let message = sent(&transmission).message;
        if message.kind == Kind::Discover {
            assert_eq!(now, seconds(10));
            assert_ne!(message.transaction, discover.transaction);
            break;
        }
        assert!(now < seconds(10));
    }
}

#[test]
fn a_refused_request_leads_back_to_the_start_after_a_pause() {
    let mut client = client();
    let discover = sent(&client.start(Duration::ZERO)).message;
    let offer = answer(Kind::Offer, &discover, ADDRESS);
    let request = sent(&client.receive(Duration::ZERO, STATION, &offer)).message;
    let nak = answer(Kind::Nak, &request, ADDRESS);
    assert_eq!(client.receive(Duration::ZERO, STATION, &nak), Transmission::default());
    assert_eq!(client.state(), State::Init);
    let (now, transmission) = silence(&mut client);
    assert!(now > Duration::ZERO && now < seconds(1));
    assert_eq!(sent(&transmission).message.kind, Kind::Discover);
}

#[test]
fn answers_to_others_are_not_ours() {
    let mut client = client();
    let discover = sent(&client.start(Duration::ZERO)).message;
    let offer = answer(Kind::Offer, &discover, ADDRESS);
    for foreign in [
        Message { transaction: discover.transaction ^ 1, ..offer.clone() },
        Message { hardware: STATION, ..offer.clone() },
        Message { is_reply: false, ..offer.clone() },
        answer(Kind::Ack, &discover, ADDRESS),
        answer(Kind::Nak, &discover, ADDRESS),
        answer(Kind::Offer, &discover, Ipv4Addr::UNSPECIFIED),
    ] {
        assert_eq!(client.receive(Duration::ZERO, STATION, &foreign), Transmission::default());
        assert_eq!(client.state(), State::Selecting);
    }
}

#[test]
fn a_lease_is_renewed_by_its_server_from_its_address() {
    let mut client = bound();
    let (now, transmission) = silence(&mut client);
    assert_eq!((now, client.state()), (seconds(500), State::Renewing));
    let request = sent(&transmission);
    assert_eq!((request.station, request.source, request.target), (STATION, ADDRESS, SERVER));
    assert_eq!(request.message.client_address, ADDRESS);
    assert!(!request.message.broadcast);
    for absent in [option::REQUESTED_ADDRESS, option::SERVER_IDENTIFIER] {
        assert_eq!(request.message.options.get(absent), None);
    }
    let ack = answer(Kind::Ack, &request.message, ADDRESS);
    assert_eq!(client.receive(seconds(502), STATION, &ack), Event::Granted.into());
    assert_eq!(client.deadline(), Some(seconds(1000)));
}

#[test]
fn a_silent_server_is_asked_less_often_and_then_all_servers_are() {
    let mut client = bound();
    let mut renewals = Vec::new();
    let mut rebindings = Vec::new();
    let expired = loop {
        let (now, transmission) = silence(&mut client);
        if transmission.event.is_some() {
            break (now, transmission);
        }
        let request = sent(&transmission);
        assert_eq!((request.source, request.message.client_address), (ADDRESS, ADDRESS));
        match request.target {
            Ipv4Addr::BROADCAST => rebindings.push(now),
            _ => renewals.push(now),
        }
    };
    assert_eq!(expired, (seconds(1000), Event::Expired.into()));
    assert_eq!((renewals[0], rebindings[0]), (seconds(500), seconds(875)));
    assert_eq!((renewals.len(), rebindings.len()), (4, 3), "{renewals:?} {rebindings:?}");
    assert_eq!((client.state(), client.deadline()), (State::Init, None));
}

#[test]
fn a_server_may_take_the_address_back_but_not_change_it() {
    for (kind, address) in [(Kind::Nak, ADDRESS), (Kind::Ack, Ipv4Addr::new(10, 1, 0, 6))] {
        let mut client = bound();
        let request = sent(&silence(&mut client).1).message;
        let refusal = answer(kind, &request, address);
        assert_eq!(client.receive(seconds(501), STATION, &refusal), Event::Refused.into());
        assert_eq!((client.state(), client.deadline()), (State::Init, None));
    }
}

#[test]
fn an_address_is_given_back_to_its_server_from_itself() {
    let mut client = bound();
    let release = client.release(seconds(5)).unwrap();
    assert_eq!(release.next_hop, SERVER);
    let moved = Mac([2, 0, 0, 0, 0, 8]);
    assert_eq!(read(&release.frame(Some(moved))).station, moved);
    let release = read(&release.frame(None));
    assert_eq!((release.station, release.source, release.target), (STATION, ADDRESS, SERVER));
    let message = release.message;
    assert_eq!((message.kind, message.client_address), (Kind::Release, ADDRESS));
    assert_eq!(message.options.address(option::SERVER_IDENTIFIER), Some(SERVER));
    assert_eq!(message.options.get(option::CLIENT_IDENTIFIER), Some(&b"\0c1/net/eth0"[..]));
    assert_eq!(message.options.get(option::PARAMETER_LIST), None);
    assert_eq!((client.deadline(), client.release(seconds(6))), (None, None));
}

#[test]
fn a_server_behind_a_router_is_told_through_it() {
    let mut client = client();
    let discover = sent(&client.start(Duration::ZERO)).message;
    let far = |kind, request: &Message| {
        let mut message = answer(kind, request, ADDRESS);
        message.options.set(option::SERVER_IDENTIFIER, [10, 9, 0, 1]);
        message.options.set(option::ROUTERS, [10, 1, 0, 254]);
        message
    };
    let offer = far(Kind::Offer, &discover);
    let request = sent(&client.receive(Duration::ZERO, STATION, &offer)).message;
    client.receive(Duration::ZERO, STATION, &far(Kind::Ack, &request));
    let release = client.release(seconds(5)).unwrap();
    assert_eq!(release.next_hop, Ipv4Addr::new(10, 1, 0, 254));
    assert_eq!(read(&release.frame(None)).target, Ipv4Addr::new(10, 9, 0, 1));
}

#[test]
fn an_address_of_somebody_else_is_declined_and_another_one_sought() {
    let mut client = bound();
    let decline = read(&client.decline(seconds(1)).unwrap());
    assert_eq!((decline.source, decline.target), (Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST));
    assert_eq!(decline.message.kind, Kind::Decline);
    assert_eq!(decline.message.client_address, Ipv4Addr::UNSPECIFIED);
    assert_eq!(decline.message.options.address(option::REQUESTED_ADDRESS), Some(ADDRESS));
    let (now, transmission) = silence(&mut client);
    assert_eq!(now, seconds(11));
    assert_eq!(sent(&transmission).message.kind, Kind::Discover);
}

#[test]
fn a_lease_from_before_is_used_until_it_has_to_be_renewed() {
    let grant = bound().grant().unwrap().clone();
    let mut resumed = client();
    assert_eq!(resumed.resume(seconds(400), grant.clone()), Transmission::default());
    assert_eq!((resumed.state(), resumed.deadline()), (State::Bound, Some(seconds(500))));
    assert_eq!(client().resume(seconds(1000), grant), Event::Expired.into());
}

#[test]
fn a_lease_from_the_future_is_taken_for_one_of_now() {
    let grant = Grant { since: seconds(5000), ..bound().grant().unwrap().clone() };
    let mut resumed = client();
    assert_eq!(resumed.resume(seconds(100), grant), Transmission::default());
    assert_eq!(resumed.deadline(), Some(seconds(600)));
}

#[test]
fn a_lease_that_should_have_been_renewed_is_confirmed_by_anybody() {
    let grant = bound().grant().unwrap().clone();
    let mut client = client();
    let request = sent(&client.resume(seconds(600), grant));
    assert_eq!((client.state(), request.target), (State::Rebooting, Ipv4Addr::BROADCAST));
    assert_eq!(request.source, Ipv4Addr::UNSPECIFIED);
    assert_eq!(request.message.options.address(option::REQUESTED_ADDRESS), Some(ADDRESS));
    assert_eq!(request.message.options.get(option::SERVER_IDENTIFIER), None);
    let mut silent = client.clone();
    let ack = answer(Kind::Ack, &request.message, ADDRESS);
    assert_eq!(client.receive(seconds(601), STATION, &ack), Event::Granted.into());
    assert_eq!(client.deadline(), Some(seconds(1100)));
    let renewal = loop {
        let (now, _) = silence(&mut silent);
        if silent.state() == State::Renewing {
            break now;
        }
    };
    assert!(renewal >= seconds(610) && renewal < seconds(640), "{renewal:?}");
}

#[test]
fn a_lease_without_end_is_never_renewed() {
    let mut client = client();
    let discover = sent(&client.start(Duration::ZERO)).message;
    let offer = answer(Kind::Offer, &discover, ADDRESS);
    let request = sent(&client.receive(Duration::ZERO, STATION, &offer)).message;
    let mut ack = answer(Kind::Ack, &request, ADDRESS);
    ack.options.set(option::LEASE_TIME, [255; 4]);
    assert_eq!(client.receive(Duration::ZERO, STATION, &ack), Event::Granted.into());
    assert_eq!((client.state(), client.deadline()), (State::Bound, None));
}
