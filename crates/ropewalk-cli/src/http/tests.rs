//! The server as its clients see it, over loopback.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{DEADLINE, MOST_CONNECTIONS, Response, Server, Stop, Turn};

fn with_server(answer: impl Fn(&super::Request) -> Response + Sync, test: impl FnOnce(SocketAddr)) {
    let server = Server::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let address = server.address().unwrap();
    let stop = Stop::new().unwrap();
    thread::scope(|scope| {
        let serving = scope.spawn(|| server.serve(&stop, &answer));
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(address)));
        stop.tell();
        serving.join().unwrap().unwrap();
        result.unwrap();
    });
}

fn ask(address: SocketAddr, text: &str) -> String {
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(text.as_bytes()).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn requests_are_answered_and_others_refused() {
    let answer = |request: &super::Request| match request.path.as_str() {
        "/json" => Response::json(&json!({ "a": request.parameter("a") })),
        _ => Response::error(404),
    };
    with_server(answer, |address| {
        let found = ask(address, "GET /json?a=1 HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(found.starts_with("HTTP/1.1 200 OK\r\n"), "{found}");
        assert!(found.ends_with("\r\n\r\n{\"a\":\"1\"}"), "{found}");
        assert!(found.contains("content-length: 9\r\n"), "{found}");
        let head = ask(address, "HEAD /json?a=1 HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(head.contains("content-length: 9\r\n") && head.ends_with("\r\n\r\n"), "{head}");
        let other = ask(address, "GET /other HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(other.starts_with("HTTP/1.1 404 "), "{other}");
        let post = ask(address, "POST / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(post.contains("\r\nallow: GET, HEAD\r\n"), "{post}");
    });
}

#[test]
fn events_come_when_they_happen_and_end_with_their_source() {
    let (sender, receiver) = mpsc::channel::<String>();
    let receiver = std::sync::Mutex::new(Some(receiver));
    let answer = |_: &super::Request| {
        let events = receiver.lock().unwrap().take().unwrap();
        Response::events(move |time| match events.recv_timeout(time) {
            Ok(text) => Turn::Send("news", text),
            Err(mpsc::RecvTimeoutError::Timeout) => Turn::Nothing,
            Err(mpsc::RecvTimeoutError::Disconnected) => Turn::End,
        })
    };
    with_server(answer, |address| {
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        let mut lines = BufReader::new(client).lines().map(Result::unwrap);
        let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
        assert!(head.iter().any(|line| line == "content-type: text/event-stream"), "{head:?}");
        for text in ["one", "two"] {
            sender.send(text.to_owned()).unwrap();
            let event: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
            assert_eq!(event, ["event: news".to_owned(), format!("data: {text}")]);
        }
        drop(sender);
        assert_eq!(lines.next(), None);
    });
}

#[test]
fn too_many_clients_are_told_so_and_none_keeps_the_server_from_ending() {
    let started = Instant::now();
    with_server(
        |_| Response::error(404),
        |address| {
            let silent: Vec<TcpStream> =
                (0..MOST_CONNECTIONS).map(|_| TcpStream::connect(address).unwrap()).collect();
            let refused = ask(address, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
            assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
            drop(silent);
            let late = TcpStream::connect(address).unwrap();
            late.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
            // It says nothing, and the server ends all the same.
            assert!((&late).read(&mut [0]).is_err());
            std::mem::forget(late);
        },
    );
    assert!(started.elapsed() < DEADLINE, "{:?}", started.elapsed());
}
