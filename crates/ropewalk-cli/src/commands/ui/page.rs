//! The page itself, as it was built into this program: `cargo xtask ui` makes it, `cargo xtask
//! dist` puts it in, and a build without it says so.

use crate::http::{Request, Response};

/// Path, type, and content, packed with gzip.
type Asset = (&'static str, &'static str, &'static [u8]);

#[cfg(feature = "page")]
const ASSETS: &[Asset] = &[
    ("/", "text/html; charset=utf-8", include_bytes!("../../../../../target/ui/index.html.gz")),
    (
        "/page.js",
        "text/javascript; charset=utf-8",
        include_bytes!("../../../../../target/ui/page.js.gz"),
    ),
    (
        "/page.css",
        "text/css; charset=utf-8",
        include_bytes!("../../../../../target/ui/page.css.gz"),
    ),
    ("/icon.svg", "image/svg+xml", include_bytes!("../../../../../target/ui/icon.svg.gz")),
];

#[cfg(not(feature = "page"))]
const ASSETS: &[Asset] = &[];

/// Nothing from elsewhere, and no script but the page's own.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Whether there is a page in this program.
pub(super) fn is_there() -> bool {
    !ASSETS.is_empty()
}

/// A part of the page.
pub(super) fn asset(request: &Request) -> Option<Response> {
    let (_, kind, packed) = ASSETS.iter().find(|(path, _, _)| *path == request.path)?;
    let accepted = request.header("accept-encoding").unwrap_or_default();
    if !accepted.split(',').any(|word| word.trim().starts_with("gzip")) {
        return Some(Response::refusal(406, "the page is packed with gzip"));
    }
    Some(
        Response::new(kind, *packed)
            .with_header("content-encoding", "gzip")
            .with_header("content-security-policy", POLICY)
            .with_header("referrer-policy", "no-referrer")
            .with_header("cross-origin-opener-policy", "same-origin")
            .with_header("cross-origin-resource-policy", "same-origin")
            // Another version may be served under the same name after an update.
            .with_header("cache-control", "no-cache"),
    )
}
