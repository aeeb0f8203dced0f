//! Bytes of Go's own encoder, and any bytes at all.

use alloc::vec::Vec;

use super::{Decoder, Value};
use crate::{
    random::Random,
    rpc::{ALLOCATE, Arguments, Callee, Caller, RELEASE, structure, text},
};

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |byte: u8| u8::try_from((byte as char).to_digit(16).unwrap()).unwrap();
    hex.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// What a Go program writes for two calls on one connection.
const CALLS: &str = concat!(
    "2fff81030101075265717565737401ff82000102010d536572766963654d6574686f64010c00010353657101060000",
    "0012ff82010d444843502e416c6c6f6361746500",
    "6cff8303010107436d644172677301ff84000107010b436f6e7461696e65724944010c0001054e65746e73010c0001",
    "0649664e616d65010c00010441726773010c00010450617468010c00010d4e65746e734f76657272696465010c0001",
    "09537464696e44617461010a00000020ff8401026331010d2f72756e2f6e65746e732f633101046574683004027b7d",
    "00",
    "13ff82010c444843502e52656c65617365010100",
    "20ff8401026331010d2f72756e2f6e65746e732f633101046574683004027b7d00",
);

/// What a Go program writes for a response and a result.
const RESULT: &str = concat!(
    "3aff8503010108526573706f6e736501ff86000103010d536572766963654d6574686f64010c00010353657101060001",
    "054572726f72010c00000016ff86010d444843502e416c6c6f6361746501fe012c00",
    "51ff8703010106526573756c7401ff88000105010a434e4956657273696f6e010c00010a496e746572666163657301ff",
    "8c00010349507301ff92000106526f7574657301ff96000103444e5301ff9800000020ff8b020101115b5d2a6d61696e",
    "2e496e7465726661636501ff8c0001ff8a00004aff89030102ff8a00010601044e616d65010c0001034d6163010c0001",
    "034d7475010400010753616e64626f78010c00010a536f636b657450617468010c0001055063694944010c0000001fff",
    "91020101105b5d2a6d61696e2e4950436f6e66696701ff920001ff8e000033ff8d030102ff8e0001030109496e746572",
    "66616365010400010741646472657373",
    "01ff9000010747617465776179010a00000023ff8f0301010549504e657401ff9000010201024950010a0001044d6173",
    "6b010a0000001cff950201010d5b5d2a6d61696e2e526f75746501ff960001ff94000050ff93030102ff940001070103",
    "44737401ff900001024757010a0001034d545501040001064164764d535301040001085072696f726974790104000105",
    "5461626c65010400010553636f7065010400000046ff9703010103444e5301ff98000104010b4e616d65736572766572",
    "7301ff9a000106446f6d61696e010c00010653656172636801ff9a0001074f7074696f6e7301ff9a00000016ff990201",
    "01085b5d737472696e6701ff9a00010c000054ff8803010201040a0100050104ffffff00000110000000000000000000",
    "00ffff0a010001000101010104000000000104000000000001040a010001030a02fe01fa000101020831302e312e302e",
    "31000101780000",
);

fn arguments() -> Arguments {
    Arguments {
        container: "c1".into(),
        netns: "/run/netns/c1".into(),
        interface: "eth0".into(),
        configuration: b"{}".to_vec(),
        ..Arguments::default()
    }
}

#[test]
fn calls_are_written_as_go_writes_them() {
    let written = Caller::default().call(ALLOCATE, &arguments());
    assert_eq!(written, bytes(CALLS)[..written.len()]);
}

#[test]
fn calls_of_go_are_read_in_pieces_of_any_size() {
    for size in [1, 7, 64, 4096] {
        let mut callee = Callee::default();
        let mut calls = Vec::new();
        for piece in bytes(CALLS).chunks(size) {
            callee.push(piece);
            while let Some(call) = callee.next_call().unwrap() {
                calls.push(call);
            }
        }
        let methods: Vec<_> =
            calls.iter().map(|call| (call.method.as_str(), call.sequence)).collect();
        assert_eq!(methods, [(ALLOCATE, 0), (RELEASE, 1)]);
        assert_eq!(calls[0].arguments, arguments());
    }
}

#[test]
fn results_of_go_are_read() {
    let mut decoder = Decoder::default();
    decoder.push(&bytes(RESULT));
    let response = decoder.next_value().unwrap().unwrap();
    assert_eq!(response.field("Seq"), Some(&Value::Uint(300)));
    assert_eq!(response.text("Error"), "");
    let result = decoder.next_value().unwrap().unwrap();
    let [address] = result.list("IPs") else { panic!("{result:?}") };
    assert_eq!(address.field("Address").unwrap().bytes("IP"), [10, 1, 0, 5]);
    assert_eq!(address.bytes("Gateway").len(), 16);
    let [route] = result.list("Routes") else { panic!("{result:?}") };
    assert_eq!((route.int("Priority"), route.int("Scope")), (Some(5), Some(253)));
    assert_eq!(route.field("Dst").unwrap().bytes("IP"), [0; 4]);
    let dns = result.field("DNS").unwrap();
    assert_eq!(dns.list("Nameservers"), [text("10.1.0.1"), text("")]);
    assert_eq!(decoder.next_value(), Ok(None));
}

#[test]
fn answers_are_read_as_they_were_written() {
    let mut caller = Caller::default();
    let mut daemon = Callee::default();
    daemon.push(&caller.call(ALLOCATE, &arguments()));
    let call = daemon.next_call().unwrap().unwrap();
    let route = structure([
        ("Dst", structure([("IP", Value::Bytes(alloc::vec![0; 4]))])),
        ("Priority", Value::Int(70_000)),
        ("Scope", Value::Int(-3)),
    ]);
    let result = structure([("Routes", Value::List(alloc::vec![route]))]);
    caller.push(&daemon.answer(&call, Some(&result)));
    assert_eq!(caller.next_value().unwrap().unwrap().text("Error"), "");
    assert_eq!(caller.next_value(), Ok(Some(result)));
    caller.push(&daemon.refuse(&call, "no more tries"));
    assert_eq!(caller.next_value().unwrap().unwrap().text("Error"), "no more tries");
    assert_eq!(caller.next_value(), Ok(Some(Value::Structure(Vec::new()))));
}

#[test]
fn no_bytes_make_it_panic() {
    let mut random = Random(3);
    let mut read = 0_u32;
    for whole in [bytes(CALLS), bytes(RESULT)] {
        for _ in 0..20_000 {
            let mut damaged = whole.clone();
            for _ in 0..=random.below(3) {
                let position = random.below(damaged.len());
                damaged[position] = random.u32().to_be_bytes()[0];
            }
            let mut decoder = Decoder::default();
            decoder.push(&damaged);
            while let Ok(Some(_)) = decoder.next_value() {
                read += 1;
            }
        }
    }
    assert!(read > 10_000, "{read} values were read");
}
