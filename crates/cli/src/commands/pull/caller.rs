//! Requests of the source with manners: paced, bounded in time and size,
//! tried again where that may help. Knows no route of the API.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbill_core::limits::{PULL_ANSWER_BYTES_MAX, QUOTED_CHARS_MAX};
use crossbill_core::{Clock, ErrorKind, Rng};
use reqwest::header::{HeaderValue, RETRY_AFTER};
use reqwest::{Method, Url};
use serde::de::DeserializeOwned;
use tokio::runtime::Runtime;

use super::pace::{Pace, Tries};
use crate::client::http;
use crate::error::{CliError, Result};
use crate::output;
use crate::table::printable;
use crate::units::duration;

/// A wait is cut into pieces, so that an interrupt is heeded soon.
const WAIT_PIECE: Duration = Duration::from_millis(100);
/// Waits from which on the user is told.
const WAIT_TOLD: Duration = Duration::from_secs(5);
/// How long a source is tried that has never answered: its name may be wrong.
const FIRST_CONTACT_MAX: Duration = Duration::from_secs(20);
/// Where the key of the source is read from, first and second.
pub(super) const KEY_VARIABLES: [&str; 2] = ["CROSSBILL_PULL_API_KEY", "PINECONE_API_KEY"];

/// Why a pull stops before its end.
#[derive(Debug)]
pub(super) enum Stop {
    /// The user asked for it.
    Interrupted,
    /// The source does not take the token of a page any more.
    TokenRefused(CliError),
    /// Something went wrong.
    Failed(CliError),
}

impl From<CliError> for Stop {
    fn from(error: CliError) -> Self {
        Stop::Failed(error)
    }
}

impl From<crossbill_core::Error> for Stop {
    fn from(error: crossbill_core::Error) -> Self {
        Stop::Failed(error.into())
    }
}

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) url: Url,
    /// JSON.
    pub(super) body: Option<&'static str>,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Vec<u8>,
}

/// Why nothing whole came back.
#[derive(Debug)]
pub(super) enum Broken {
    /// Trying again may help.
    Cut(String),
    /// More bytes than are read.
    TooLarge,
}

/// What carries requests: HTTP, or a script in tests.
pub(super) trait Transport: Send + Sync {
    /// Sends one request and reads its whole answer.
    fn send(&self, ask: &Ask) -> std::result::Result<Answer, Broken>;
}

/// Requests over HTTP.
pub(super) struct Http {
    client: reqwest::Client,
    runtime: Runtime,
    key: Option<HeaderValue>,
    version: HeaderValue,
}

impl Http {
    /// A transport to `server` and what it refers to.
    pub(super) fn new(
        server: &Url,
        key: Option<&str>,
        version: &str,
        timeout: Duration,
    ) -> Result<Self> {
        let key = key.map(HeaderValue::from_str).transpose().map_err(|_| {
            CliError::usage("the source's key has characters that no header can carry")
        })?;
        let version = HeaderValue::from_str(version)
            .map_err(|_| CliError::usage(format!("--api-version is {version:?}")))?;
        // Several threads wait for answers; one more drives the connections.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("pull")
            .enable_all()
            .build()
            .map_err(|error| http::cannot_make(&error))?;
        let key = key.map(|mut key| {
            key.set_sensitive(true);
            key
        });
        Ok(Self { client: http::client(server, timeout)?, runtime, key, version })
    }

    async fn exchange(&self, ask: &Ask) -> std::result::Result<Answer, Broken> {
        let cut = |error: reqwest::Error| Broken::Cut(http::cause(&error));
        let mut request = self
            .client
            .request(ask.method.clone(), ask.url.clone())
            .header("x-pinecone-api-version", &self.version);
        if let Some(key) = &self.key {
            request = request.header("api-key", key);
        }
        if let Some(body) = ask.body {
            request = request.header("content-type", "application/json").body(body);
        }
        let mut response = request.send().await.map_err(cut)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(cut)? {
            if body.len() + chunk.len() > PULL_ANSWER_BYTES_MAX {
                return Err(Broken::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let seconds = seconds.and_then(|text| text.trim().parse::<u32>().ok());
        Ok(Answer {
            status: response.status().as_u16(),
            retry_after: seconds.map(|seconds| Duration::from_secs(seconds.into())),
            body,
        })
    }
}

impl Transport for Http {
    fn send(&self, ask: &Ask) -> std::result::Result<Answer, Broken> {
        self.runtime.block_on(self.exchange(ask))
    }
}

/// Makes requests until each has an answer or a reason.
pub(super) struct Caller {
    transport: Box<dyn Transport>,
    clock: Arc<dyn Clock>,
    pace: Pace,
    rng: Mutex<Rng>,
    budget: Duration,
    /// Whether the source has ever answered.
    answered: AtomicBool,
    /// Whether the user asked to stop.
    is_asked: Box<dyn Fn() -> bool + Send + Sync>,
    /// Whether nobody wants the answers any more.
    abandoned: AtomicBool,
}

impl Caller {
    /// Asks over `transport` at most `rate` times a second, each request for
    /// no longer than `budget`.
    pub(super) fn new(
        transport: Box<dyn Transport>,
        clock: Arc<dyn Clock>,
        rng: Rng,
        (rate, budget): (f64, Duration),
        is_asked: Box<dyn Fn() -> bool + Send + Sync>,
    ) -> Self {
        Self {
            transport,
            clock,
            pace: Pace::new(rate),
            rng: Mutex::new(rng),
            budget,
            answered: AtomicBool::new(false),
            is_asked,
            abandoned: AtomicBool::new(false),
        }
    }

    /// Ends what is under way in other threads soon.
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::SeqCst);
    }

    /// The answer to `ask`.
    pub(super) fn call<T: DeserializeOwned>(&self, ask: &Ask) -> std::result::Result<T, Stop> {
        let mut tries = Tries::new(self.clock.monotonic(), self.budget);
        loop {
            self.wait(self.pace.turn(self.clock.monotonic()))?;
            let sent = self.transport.send(ask);
            if sent.is_ok() {
                self.answered.store(true, Ordering::SeqCst);
            }
            let (problem, asked) = match sent {
                Ok(answer) if (200..300).contains(&answer.status) => {
                    return Ok(read(ask, &answer.body)?);
                }
                Ok(answer) if is_transient(answer.status) => {
                    let said = message(&answer.body);
                    (format!("answered {}{said}", answer.status), answer.retry_after)
                }
                Ok(answer) => return Err(refused(ask, &answer).into()),
                Err(Broken::Cut(cause)) => (format!("gave no whole answer: {cause}"), None),
                Err(Broken::TooLarge) => {
                    let problem = format!("answered more than {PULL_ANSWER_BYTES_MAX} bytes");
                    return Err(CliError::failed(told(ask, &problem)).into());
                }
            };
            self.pause(ask, &problem, asked, &mut tries)?;
        }
    }

    /// Waits before another try, where there may be one.
    fn pause(
        &self,
        ask: &Ask,
        problem: &str,
        asked: Option<Duration>,
        tries: &mut Tries,
    ) -> std::result::Result<(), Stop> {
        let now = self.clock.monotonic();
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        let pause = tries.pause(now, asked, &mut rng);
        drop(rng);
        if !self.answered.load(Ordering::SeqCst) && tries.took(now) >= FIRST_CONTACT_MAX {
            let error = CliError::of_kind(ErrorKind::Unavailable, told(ask, problem));
            return Err(error.hint("is the host right, and can it be reached from here?").into());
        }
        let Some(pause) = pause else {
            let wish = asked.map_or_else(String::new, |asked| {
                format!(" and asks to be left alone for {}", duration(asked))
            });
            let error = CliError::of_kind(ErrorKind::Unavailable, told(ask, problem) + &wish);
            return Err(error.hint(LATER).into());
        };
        if asked.is_some() {
            self.pace.hold(now + pause);
        }
        if pause >= WAIT_TOLD {
            output::note(&format!("{}; asking again in {}", told(ask, problem), duration(pause)));
        }
        self.wait(pause)
    }

    fn wait(&self, mut left: Duration) -> std::result::Result<(), Stop> {
        loop {
            if (self.is_asked)() || self.abandoned.load(Ordering::SeqCst) {
                return Err(Stop::Interrupted);
            }
            if left.is_zero() {
                return Ok(());
            }
            let piece = left.min(WAIT_PIECE);
            self.clock.sleep(piece);
            left -= piece;
        }
    }
}

/// What helps where the source does not answer.
const LATER: &str = "the same command goes on from the last whole file; --retry-budget says how \
                     long a request is tried";

fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502..=504)
}

fn read<T: DeserializeOwned>(ask: &Ask, body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| {
        CliError::failed(told(ask, &format!("gave an answer that cannot be read: {error}")))
            .hint("is it an index of Pinecone's API, in the version of --api-version?")
    })
}

/// A problem with the source and the request it had; ids are left out.
fn told(ask: &Ask, problem: &str) -> String {
    let place = &ask.url[..url::Position::AfterPath];
    format!("the source {place} {problem}")
}

/// What the body of an error says, with a colon before it.
fn message(body: &[u8]) -> String {
    let document: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let said = document["message"].as_str().or_else(|| document["error"]["message"].as_str());
    said.map_or_else(String::new, |said| {
        let said: String = said.chars().take(4 * QUOTED_CHARS_MAX).collect();
        format!(": {}", printable(&said))
    })
}

/// An answer that will not change.
fn refused(ask: &Ask, answer: &Answer) -> CliError {
    let kind = match answer.status {
        401 => ErrorKind::Unauthenticated,
        403 => ErrorKind::Forbidden,
        404 => ErrorKind::NotFound,
        400..=499 => ErrorKind::Invalid,
        _ => ErrorKind::Internal,
    };
    let problem = format!("answered {}{}", answer.status, message(&answer.body));
    let error = CliError::of_kind(kind, told(ask, &problem));
    match kind {
        ErrorKind::Unauthenticated | ErrorKind::Forbidden => error.hint(format!(
            "the source's key is read from {} or {}",
            KEY_VARIABLES[0], KEY_VARIABLES[1]
        )),
        ErrorKind::NotFound => error.hint("see --from, --from-index and --control-plane"),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use crossbill_core::{ManualClock, Seed, Timestamp};

    use super::*;

    type Said = std::result::Result<Answer, Broken>;

    struct Script(Mutex<VecDeque<Said>>);

    impl Transport for Script {
        fn send(&self, _: &Ask) -> Said {
            self.0.lock().unwrap().pop_front().expect("no more requests than answers")
        }
    }

    fn answer(status: u16, retry_after: Option<u64>, body: &str) -> Said {
        let retry_after = retry_after.map(Duration::from_secs);
        Ok(Answer { status, retry_after, body: body.as_bytes().to_vec() })
    }

    fn cut() -> Said {
        Err(Broken::Cut("reset".into()))
    }

    /// What the answers lead to, and how long it took.
    fn called(said: Vec<Said>) -> (std::result::Result<u32, Stop>, Duration) {
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        let script = Box::new(Script(Mutex::new(said.into())));
        let manners = (10.0, Duration::from_secs(60));
        let caller = Caller::new(script, clock.clone(), Seed(3).rng(), manners, Box::new(|| false));
        let url = Url::parse("https://h.example/vectors/fetch?ids=secret-id").unwrap();
        let result = caller.call(&Ask { method: Method::GET, url, body: None });
        (result, clock.monotonic())
    }

    fn failed(said: Vec<Said>) -> String {
        match called(said).0 {
            Err(Stop::Failed(error)) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        let transient = [408, 429, 500, 502, 503, 504].map(|status| answer(status, None, ""));
        let said = transient.into_iter().chain([cut(), answer(200, None, "7")]).collect();
        let (result, took) = called(said);
        assert_eq!(result.unwrap(), 7);
        // 0.5, 1, 2, 4, 8, 16 and 30 seconds, of each at least a half.
        assert!(took > Duration::from_secs(30) && took < Duration::from_secs(62), "{took:?}");
    }

    #[test]
    fn the_source_says_how_long_to_wait() {
        let (result, took) = called(vec![answer(429, Some(40), ""), answer(200, None, "1")]);
        assert_eq!(result.unwrap(), 1);
        assert!(took >= Duration::from_secs(40) && took < Duration::from_secs(41), "{took:?}");
        let error = failed(vec![answer(503, Some(61), "")]);
        assert!(error.contains("left alone for 1m 01s") && error.contains("goes on"), "{error}");
    }

    #[test]
    fn tries_end_with_the_budget() {
        let said = [answer(503, None, "")].into_iter().chain((0..100).map(|_| cut()));
        let (result, took) = called(said.collect());
        let Err(Stop::Failed(error)) = result else { panic!("{result:?}") };
        assert!(took > Duration::from_secs(25) && took <= Duration::from_secs(60), "{took:?}");
        let error = error.to_string();
        assert!(error.contains("goes on from"), "{error}");
        assert!(error.contains("gave no whole answer: reset"), "{error}");
        assert!(error.contains("https://h.example/vectors/fetch "), "{error}");
        assert!(!error.contains("secret-id"), "{error}");
    }

    #[test]
    fn a_source_that_never_answers_is_given_up_soon() {
        let error = failed((0..100).map(|_| cut()).collect());
        assert!(error.contains("is the host right"), "{error}");
    }

    #[test]
    fn refusals_are_told_at_once() {
        for (status, body, expected) in [
            (401, r#"{"error":{"code":"x","message":"no \u001b[2J"}}"#, r"401: no \u{1b}[2J"),
            (403, r#"{"message":"bad key"}"#, "CROSSBILL_PULL_API_KEY"),
            (404, "<html>", "404"),
            (400, "", "400"),
            (302, "", "302"),
        ] {
            let error = failed(vec![answer(status, Some(1), body)]);
            assert!(error.contains(expected), "{error}");
        }
        assert!(failed(vec![answer(200, None, "{")]).contains("cannot be read"));
        assert!(failed(vec![Err(Broken::TooLarge)]).contains("more than"));
    }

    #[test]
    fn an_interrupt_ends_the_waiting() {
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        let script = Box::new(Script(Mutex::new(vec![answer(429, Some(50), "")].into())));
        let late = {
            let clock = clock.clone();
            move || clock.monotonic() > Duration::from_secs(3)
        };
        let manners = (10.0, Duration::from_secs(60));
        let caller = Caller::new(script, clock.clone(), Seed(3).rng(), manners, Box::new(late));
        let url = Url::parse("https://h.example/x").unwrap();
        let result = caller.call::<u32>(&Ask { method: Method::GET, url, body: None });
        assert!(matches!(result, Err(Stop::Interrupted)), "{result:?}");
        assert!(clock.monotonic() < Duration::from_secs(4));
    }
}
