//! The console: a web page in the binary, made of the files in
//! `assets`, which `npm run build` in `console/` makes of their
//! sources. Gives out files and nothing else; the page asks the API like any
//! other client, with the key that its user types.

use crate::call::{Answer, Call, Reply};
use crate::error::ApiError;

/// The files: name, what they are, their bytes.
const FILES: [(&str, &str, &[u8]); 3] = [
    (
        "console.js",
        "text/javascript; charset=utf-8",
        include_bytes!("../assets/console/console.js"),
    ),
    ("console.css", "text/css; charset=utf-8", include_bytes!("../assets/console/console.css")),
    ("icon.svg", "image/svg+xml", include_bytes!("../assets/console/icon.svg")),
];
const PAGE: &[u8] = include_bytes!("../assets/index.html");

/// Nothing but our own files runs or is loaded, nothing is sent elsewhere, and
/// no other page shows this one in a frame.
const HEADERS: &[(&str, &str)] = &[
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    // The files change with the binary and keep their names.
    ("cache-control", "no-cache"),
];

/// `GET /`.
pub(crate) fn page(_: &Call) -> Answer {
    let reply = Reply::of(200, "text/html; charset=utf-8", PAGE.to_vec());
    Ok(Reply { fixed: HEADERS, ..reply })
}

/// `GET /console/{file}`.
pub(crate) fn file(call: &Call) -> Answer {
    let name = call.param("file");
    let found = FILES.iter().find(|(known, ..)| *known == name);
    let (_, content, bytes) =
        found.ok_or_else(|| ApiError::not_found("the console has no file of that name"))?;
    Ok(Reply { fixed: HEADERS, ..Reply::of(200, content, bytes.to_vec()) })
}
