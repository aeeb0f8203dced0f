//! As much of the container runtime interface (CRI) as makes and removes pods: gRPC by way of
//! `curl`, which also tells what an answer took, with messages written and read by hand.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};

use super::image::group;
use crate::{Outcome, failed};

/// The kind of network that is the host's own, in `NamespaceMode`.
const NODE: u64 = 2;

/// The message `PodSandboxConfig` of a pod with one port.
pub(super) fn pod(name: &str) -> Vec<u8> {
    let port = [number(2, 80), number(3, 8080)].concat();
    [metadata(name), field(2, name.as_bytes()), field(5, &port), field(8, &linux())].concat()
}

/// The same of a pod on the host's own network, which cannot have a host name of its own.
pub(super) fn pod_without_network(name: &str) -> Vec<u8> {
    let namespaces = field(1, &number(1, NODE));
    let linux = [linux(), field(2, &namespaces)].concat();
    [metadata(name), field(8, &linux)].concat()
}

fn metadata(name: &str) -> Vec<u8> {
    let words = [field(1, name.as_bytes()), field(2, name.as_bytes()), field(3, b"default")];
    field(1, &words.concat())
}

fn linux() -> Vec<u8> {
    field(1, format!("/{}", group()).as_bytes())
}

/// Makes a pod; answers its id, as a message with it in its first field.
pub(super) fn run_pod(home: &str, pod: &[u8]) -> Outcome<(Vec<u8>, Duration)> {
    let (answer, taken) = call(home, "RunPodSandbox", &field(1, pod))?;
    if answer.is_empty() {
        Err("RunPodSandbox gives no pod".to_owned())
    } else {
        Ok((answer, taken))
    }
}

/// Calls a method of the runtime service; answers its message, and what it took without the start
/// of `curl`.
pub(super) fn call(home: &str, method: &str, message: &[u8]) -> Outcome<(Vec<u8>, Duration)> {
    let length = u32::try_from(message.len()).map_err(failed("message"))?;
    let request = [&[0], &length.to_be_bytes()[..], message].concat();
    let mut child = Command::new("curl")
        .args(["-sS", "-m", "60", "--noproxy", "*", "--http2-prior-knowledge"])
        .args(["--unix-socket", &format!("{home}/socket"), "--data-binary", "@-"])
        .args(["-H", "content-type: application/grpc", "-H", "te: trailers"])
        .args(["-D", &format!("{home}/headers"), "-o", &format!("{home}/answer")])
        .args(["-w", "%{time_total}"])
        .arg(format!("http://localhost/runtime.v1.RuntimeService/{method}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed("curl"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(&request).map_err(failed("curl does not read"))?;
    }
    let output = child.wait_with_output().map_err(failed("curl"))?;
    let headers = fs::read_to_string(format!("{home}/headers")).map_err(failed("headers"))?;
    if !headers.lines().any(|line| line.trim() == "grpc-status: 0") {
        return Err(format!("{method} failed: {headers}"));
    }
    let seconds: f64 =
        String::from_utf8_lossy(&output.stdout).parse().map_err(failed("the time of curl"))?;
    let answer = fs::read(format!("{home}/answer")).map_err(failed("answer"))?;
    let message = answer.get(5..).unwrap_or_default().to_vec();
    Ok((message, Duration::from_secs_f64(seconds)))
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// A field of bytes: text or another message.
fn field(name: u64, bytes: &[u8]) -> Vec<u8> {
    [varint((name << 3) | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

/// A field with a number.
fn number(name: u64, value: u64) -> Vec<u8> {
    [varint(name << 3), varint(value)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_written_as_protocol_buffers() {
        assert_eq!(number(1, 300), [8, 0xac, 2]);
        assert_eq!(field(2, b"ab"), [0x12, 2, b'a', b'b']);
    }
}
