//! Who may look: whoever knows the token, and from elsewhere only through TLS.
//!
//! The token must never be in an answer but as a cookie, nor in a file that others may read.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::Options;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::http::{Request, Response};

/// Bytes of a token, which nobody guesses.
const LENGTH: usize = 24;

/// Who may look.
#[derive(Debug)]
pub(super) struct Access {
    token: String,
    /// Cookies of all ports of a host are the same to a browser.
    cookie: String,
    is_local: bool,
}

impl Access {
    pub(super) fn new(token: String, address: SocketAddr) -> Self {
        let cookie = format!("ropewalk-{}", address.port());
        Self { token, cookie, is_local: address.ip().is_loopback() }
    }

    /// Why a request is refused, or where the browser has to go first.
    pub(super) fn judge(&self, request: &Request, is_encrypted: bool) -> Option<Response> {
        // Behind TLS a name is one that the certificate is for.
        if self.is_local && !request.is_from_here() {
            return Some(Response::refusal(403, "this host is not known by that name"));
        }
        if let Some(token) = request.parameter("token").filter(|_| request.path == "/") {
            if !self.is_token(token) {
                return Some(Self::refusal());
            }
            let secure = if is_encrypted { "; Secure" } else { "" };
            let flags = format!("Path=/; HttpOnly; SameSite=Strict{secure}");
            let cookie = format!("{}={}; {flags}", self.cookie, self.token);
            return Some(Response::moved("/").with_header("set-cookie", cookie));
        }
        (!self.is_known(request)).then(Self::refusal)
    }

    fn refusal() -> Response {
        let hint =
            "this page is opened with the address that \"ropewalk ui\" printed, which has a token";
        Response::refusal(401, hint)
    }

    fn is_known(&self, request: &Request) -> bool {
        let bearer =
            request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let cookies = request.header("cookie").unwrap_or_default().split(';');
        let cookie = cookies.filter_map(|cookie| cookie.trim().split_once('='));
        let mut cookie = cookie.filter(|(name, _)| *name == self.cookie).map(|(_, value)| value);
        bearer.is_some_and(|token| self.is_token(token)) || cookie.any(|token| self.is_token(token))
    }

    /// In a time that does not tell how much of it is right.
    fn is_token(&self, text: &str) -> bool {
        let differences = text.bytes().zip(self.token.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
        text.len() == self.token.len() && differences == 0
    }
}

/// The token in a file, or a new one, which is put there.
pub(super) fn token(path: &Path) -> Result<String, Failure> {
    let failed = |error: std::io::Error| {
        Failure::failed(format!("failed to keep the token in {}: {error}", path.display()))
    };
    match fs::read_to_string(path) {
        Ok(text) => {
            let token = text.trim();
            let is_fit =
                token.len() >= LENGTH && token.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if is_fit {
                return Ok(token.to_owned());
            }
            let problem = format!(
                "{} holds no token of at least {LENGTH} letters and digits",
                path.display()
            );
            return Err(Failure::failed(problem).with_hint("remove it, and a new one is made"));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let mut bytes = [0; LENGTH];
    fs::File::open("/dev/urandom")
        .and_then(|mut source| std::io::Read::read_exact(&mut source, &mut bytes))
        .map_err(failed)?;
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let token = digits.concat();
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(format!("{token}\n").as_bytes()).map_err(failed)?;
    Ok(token)
}

/// How connections are encrypted, if they are; from elsewhere they must be.
pub(super) fn encryption(options: &Options) -> Result<Option<Arc<ServerConfig>>, Failure> {
    let (Some(certificate), Some(key)) = (&options.tls_cert, &options.tls_key) else {
        if options.listen.ip().is_loopback() {
            return Ok(None);
        }
        let address = options.listen;
        let reason = format!("failed to listen at {address}: others could read along without TLS");
        return Err(Failure::new(Exit::Usage, reason)
            .with_hint("give --tls-cert and --tls-key, or reach it through ssh -L"));
    };
    let failed = |path: &Path, reason: String| {
        Failure::failed(format!("failed to read {}: {reason}", path.display()))
    };
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| failed(certificate, error.to_string()))?;
    let secret =
        PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, secret))
        .map_err(|error| failed(certificate, error.to_string()))?;
    Ok(Some(Arc::new(config)))
}
