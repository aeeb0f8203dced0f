//! As much of the container runtime interface (CRI) as makes and removes pods: gRPC by way of
//! `curl`, with messages written and read by hand.

use std::io::Write;
use std::process::Stdio;

use ropewalk_e2e::Lab;

use super::containerd::{Containerd, HOME};

/// A pod to be made.
pub(crate) struct Pod<'a> {
    /// Its name, also its host name.
    pub(crate) name: &'a str,
    /// Pairs of host port and container port, TCP.
    pub(crate) ports: &'a [(u64, u64)],
}

impl Containerd<'_> {
    /// Makes a pod, as the kubelet does, and answers its id.
    #[track_caller]
    pub(crate) fn run_pod(&self, lab: &Lab, pod: &Pod<'_>) -> String {
        let answer = call(lab, "RunPodSandbox", &field(1, &self.pod_config(pod)));
        let answer = answer.unwrap_or_else(|error| panic!("{error}\n{}", self.log()));
        text(find(&answer, &[1]).expect("an answer has the pod's id"))
    }

    /// The address of a pod, as containerd read it from the plugins' result.
    #[track_caller]
    pub(crate) fn pod_address(lab: &Lab, id: &str) -> String {
        let answer = call(lab, "PodSandboxStatus", &field(1, id.as_bytes())).expect("it is there");
        text(find(&answer, &[1, 5, 1]).expect("a pod has an address"))
    }

    /// Stops and removes a pod.
    #[track_caller]
    pub(crate) fn remove_pod(&self, lab: &Lab, id: &str) {
        for method in ["StopPodSandbox", "RemovePodSandbox"] {
            if let Err(error) = call(lab, method, &field(1, id.as_bytes())) {
                panic!("{error}\n{}", self.log());
            }
        }
    }

    /// The message `PodSandboxConfig`.
    fn pod_config(&self, pod: &Pod<'_>) -> Vec<u8> {
        let Pod { name, ports } = pod;
        let uid = format!("uid-{name}");
        let metadata =
            [field(1, name.as_bytes()), field(2, uid.as_bytes()), field(3, b"default")].concat();
        let linux = field(1, format!("/{}", self.cgroup()).as_bytes());
        let mut config = [field(1, &metadata), field(2, name.as_bytes())].concat();
        for (host, container) in *ports {
            config.extend(field(5, &[number(2, *container), number(3, *host)].concat()));
        }
        config.extend(field(8, &linux));
        config
    }
}

/// Calls a method of the runtime service.
fn call(lab: &Lab, method: &str, message: &[u8]) -> Result<Vec<u8>, String> {
    super::image::require(&[("curl", "curl")]);
    let mut request = vec![0];
    request.extend(u32::try_from(message.len()).expect("a short message").to_be_bytes());
    request.extend(message);
    let mut child = lab
        .enter()
        .args(["curl", "-sS", "-m", "30", "--noproxy", "*", "--http2-prior-knowledge"])
        .args(["--unix-socket", &Containerd::socket(), "--data-binary", "@-"])
        .args(["-H", "content-type: application/grpc", "-H", "te: trailers"])
        .args(["-D", &format!("{HOME}/headers")])
        .arg(format!("http://localhost/runtime.v1.RuntimeService/{method}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("nsenter is installed");
    let mut stdin = child.stdin.take().expect("standard input is a pipe");
    stdin.write_all(&request).expect("curl reads everything");
    drop(stdin);
    let output = child.wait_with_output().expect("a child can be waited for");
    let headers = lab.read(&format!("{HOME}/headers"));
    if !headers.lines().any(|line| line.trim() == "grpc-status: 0") {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("{method} failed: {stderr}\n{headers}"));
    }
    Ok(output.stdout.get(5..).expect("an answer has a message").to_vec())
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push(u8::try_from(value & 0x7f).expect("seven bits") | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).expect("seven bits"));
    bytes
}

/// A field of bytes: text or another message.
fn field(name: u64, bytes: &[u8]) -> Vec<u8> {
    [varint(name << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

/// A field with a number.
fn number(name: u64, value: u64) -> Vec<u8> {
    [varint(name << 3), varint(value)].concat()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("text")
}

/// The first field of bytes along a path of field numbers through messages.
fn find(message: &[u8], path: &[u64]) -> Option<Vec<u8>> {
    let Some((wanted, rest)) = path.split_first() else { return Some(message.to_vec()) };
    let mut input = message;
    while !input.is_empty() {
        let key = take_varint(&mut input)?;
        match key & 7 {
            0 => drop(take_varint(&mut input)?),
            2 => {
                let length = usize::try_from(take_varint(&mut input)?).ok()?;
                let (bytes, after) = input.split_at_checked(length)?;
                if key >> 3 == *wanted {
                    return find(bytes, rest);
                }
                input = after;
            }
            other => panic!("no field of these messages has wire type {other}"),
        }
    }
    None
}

fn take_varint(input: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = input.split_first()?;
        *input = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
