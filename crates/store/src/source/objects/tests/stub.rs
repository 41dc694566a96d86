//! A tiny S3 in this process: lists two keys a page, honours ranges and
//! If-Match, and misbehaves as it is told.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

/// How a request goes wrong.
#[derive(Debug, Clone)]
pub(super) enum Trouble {
    /// This status, extra header lines, this `<Code>`.
    Status(u16, &'static str, &'static str),
    /// The connection closes without an answer.
    Reset,
    /// The head is fine, then so many bytes of the body, then it closes.
    CutAfter(usize),
    /// The head and some bytes, then nothing for a while.
    StallAfter(usize),
    /// The body is fine and other bytes than the object's.
    OtherETag,
    /// The body and its range are shifted by one byte.
    ShiftedRange,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<String, Vec<u8>>,
    troubles: Vec<(String, u32, Trouble)>,
    requests: Vec<(String, HashMap<String, String>)>,
}

/// The running server; its threads end with the test's process.
#[derive(Debug, Clone)]
pub(super) struct Stub {
    pub(super) endpoint: String,
    state: Arc<Mutex<State>>,
}

impl Stub {
    pub(super) fn start(objects: &[(&str, &[u8])]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let objects =
            objects.iter().map(|(key, bytes)| (key.to_string(), bytes.to_vec())).collect();
        let state = Arc::new(Mutex::new(State { objects, ..State::default() }));
        let shared = Arc::clone(&state);
        let accept = move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                let serve = move || while serve(&stream, &state).is_some() {};
                std::thread::Builder::new().spawn(serve).unwrap();
            }
        };
        std::thread::Builder::new().spawn(accept).unwrap();
        Self { endpoint, state }
    }

    pub(super) fn put(&self, key: &str, bytes: &[u8]) {
        self.state.lock().objects.insert(key.to_owned(), bytes.to_vec());
    }

    /// The next `times` requests whose line contains `what` go wrong.
    pub(super) fn trouble(&self, what: &str, times: u32, trouble: Trouble) {
        self.state.lock().troubles.push((what.to_owned(), times, trouble));
    }

    pub(super) fn requests(&self) -> Vec<(String, HashMap<String, String>)> {
        self.state.lock().requests.clone()
    }
}

/// Serves one request; `None` when the connection is done.
fn serve(stream: &TcpStream, state: &Mutex<State>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let line = line.trim().trim_end_matches(" HTTP/1.1").to_owned();
    let mut headers = HashMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let mut state = state.lock();
    state.requests.push((line.clone(), headers.clone()));
    let trouble = state
        .troubles
        .iter_mut()
        .find(|(what, times, _)| *times > 0 && line.contains(what.as_str()))
        .map(|(_, times, trouble)| {
            *times -= 1;
            trouble.clone()
        });
    let (method, target) = line.split_once(' ')?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let key = path.strip_prefix("/lake").unwrap_or("/?").trim_start_matches('/');
    let (mut head, body) = match &trouble {
        Some(Trouble::Reset) => return None,
        Some(Trouble::Status(status, extra, code)) => {
            let body = format!("<Error><Code>{code}</Code></Error>");
            (format!("HTTP/1.1 {status} Trouble\r\n{extra}"), body.into_bytes())
        }
        _ if path != "/lake" && !path.starts_with("/lake/") => {
            let body = b"<Error><Code>NoSuchBucket</Code></Error>".to_vec();
            ("HTTP/1.1 404 Not Found\r\n".to_owned(), body)
        }
        _ if key.is_empty() => ("HTTP/1.1 200 OK\r\n".to_owned(), list(&state, query)),
        trouble => object(&state, &decode(key), &headers, trouble.as_ref()),
    };
    drop(state);
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    let body: &[u8] = if method == "HEAD" { b"" } else { &body };
    let sent = match trouble {
        Some(Trouble::CutAfter(sent) | Trouble::StallAfter(sent)) => &body[..sent.min(body.len())],
        _ => body,
    };
    let mut out = stream;
    out.write_all(head.as_bytes()).ok()?;
    out.write_all(sent).ok()?;
    match trouble {
        Some(Trouble::StallAfter(_)) => {
            // Until the client gives up, or long enough to fail the test.
            out.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
            let _ = out.read(&mut [0]);
            None
        }
        Some(Trouble::CutAfter(_)) => None,
        _ => Some(()),
    }
}

fn etag(bytes: &[u8]) -> String {
    format!("\"{:08x}\"", crc32c::crc32c(bytes))
}

fn object(
    state: &State,
    key: &str,
    headers: &HashMap<String, String>,
    trouble: Option<&Trouble>,
) -> (String, Vec<u8>) {
    let Some(bytes) = state.objects.get(key) else {
        let body = b"<Error><Code>NoSuchKey</Code></Error>".to_vec();
        return ("HTTP/1.1 404 Not Found\r\n".to_owned(), body);
    };
    let mut tag = etag(bytes);
    if headers.get("if-match").is_some_and(|wanted| *wanted != tag) {
        return ("HTTP/1.1 412 Precondition Failed\r\n".to_owned(), vec![]);
    }
    if matches!(trouble, Some(Trouble::OtherETag)) {
        tag = "\"other\"".to_owned();
    }
    let modified = "Last-Modified: Tue, 24 Nov 2026 00:00:00 GMT\r\n";
    let range = headers.get("range").and_then(|range| range.strip_prefix("bytes="));
    let Some((start, end)) = range.and_then(|range| range.split_once('-')) else {
        return (format!("HTTP/1.1 200 OK\r\nETag: {tag}\r\n{modified}"), bytes.clone());
    };
    let shift = u64::from(matches!(trouble, Some(Trouble::ShiftedRange)));
    let start = start.parse::<u64>().unwrap() + shift;
    let end = (end.parse::<u64>().unwrap() + shift).min(bytes.len() as u64 - 1);
    let head = format!(
        "HTTP/1.1 206 Partial\r\nETag: {tag}\r\n{modified}\
         Content-Range: bytes {start}-{end}/{}\r\n",
        bytes.len()
    );
    (head, bytes[start as usize..=end as usize].to_vec())
}

fn list(state: &State, query: &str) -> Vec<u8> {
    let query: HashMap<&str, String> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name, decode(value)))
        .collect();
    let prefix = query.get("prefix").cloned().unwrap_or_default();
    let after = query.get("continuation-token").or_else(|| query.get("start-after"));
    let mut left = state
        .objects
        .iter()
        .filter(|(key, _)| key.starts_with(&prefix) && after.is_none_or(|after| *key > after))
        .peekable();
    let mut xml = "<ListBucketResult>".to_owned();
    let mut last = String::new();
    for (key, bytes) in left.by_ref().take(2) {
        xml.push_str(&format!(
            "<Contents><Key>{key}</Key><Size>{}</Size><ETag>{}</ETag>\
             <LastModified>2026-11-24T00:00:00.000Z</LastModified></Contents>",
            bytes.len(),
            etag(bytes).replace('"', "&quot;")
        ));
        last.clone_from(key);
    }
    if left.peek().is_some() {
        xml.push_str(&format!("<NextContinuationToken>{last}</NextContinuationToken>"));
    }
    xml.push_str("</ListBucketResult>");
    xml.into_bytes()
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            b'+' => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).unwrap()
}
