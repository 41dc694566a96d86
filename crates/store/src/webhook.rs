//! A webhook: one signed POST to a place of the operator's choosing. It says
//! what it is given; when and how often is its caller's business.
//!
//! Signed as Standard Webhooks are: `webhook-signature` is `v1,` and the
//! base64 of HMAC-SHA256 over `<id>.<timestamp>.<body>`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crossbill_core::limits::WEBHOOK_SECRET_BYTES_MIN;
use crossbill_core::{Error, Result, Timestamp};
use reqwest::Url;

use crate::Secret;
use crate::endpoint::guarded;
use crate::runtime::block_on;

/// How long one attempt may take, from the connection to the answer.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often an attempt asks whether it is still wanted.
const STOP_POLL: Duration = Duration::from_millis(100);
/// Begins a secret that is written in base64.
const BASE64_PREFIX: &str = "whsec_";

/// Where to, and with which secret.
#[derive(Debug, Clone)]
pub struct Webhook {
    url: Url,
    secret: Secret,
    client: reqwest::Client,
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookMessage {
    /// The same each time it is said again, and no other's.
    pub id: String,
    /// When it is said.
    pub sent_at: Timestamp,
    /// JSON.
    pub body: Vec<u8>,
}

impl Webhook {
    /// Checks the address and the secret, and contacts nobody. The address is
    /// the operator's own, so it may be a private one, but none of those that
    /// cloud providers keep for secrets of the machine.
    pub fn new(url: &str, secret: Secret) -> Result<Self> {
        let (url, client) = guarded("the webhook", url, ATTEMPT_TIMEOUT)?;
        let bytes = key(&secret)?.len();
        if bytes < WEBHOOK_SECRET_BYTES_MIN {
            return Err(Error::invalid(format!(
                "the webhook's secret has {bytes} bytes, expected at least \
                 {WEBHOOK_SECRET_BYTES_MIN}"
            )));
        }
        Ok(Self { url, secret, client })
    }

    /// The host, for messages: paths and queries may hold secrets.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Says it once; an error says why it is not known to have arrived. Ends
    /// soon after `stop` says so.
    pub fn send(&self, message: &WebhookMessage, stop: &dyn Fn() -> bool) -> Result<()> {
        let seconds = message.sent_at.0.div_euclid(1000);
        let request = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", seconds.to_string())
            .header("webhook-signature", signature(&key(&self.secret)?, message))
            .timeout(ATTEMPT_TIMEOUT)
            .body(message.body.clone());
        let stopped = async {
            while !stop() {
                tokio::time::sleep(STOP_POLL).await;
            }
        };
        let answer = block_on(async {
            tokio::select! {
                answer = request.send() => Some(answer),
                () = stopped => None,
            }
        });
        match answer {
            Some(Ok(answer)) if answer.status().is_success() => Ok(()),
            Some(Ok(answer)) => {
                let status = answer.status().as_u16();
                Err(Error::unavailable(format!("{} answered {status}, expected 2xx", self.host())))
            }
            // Without the address, which may hold a secret.
            Some(Err(error)) => Err(Error::unavailable(error.without_url().to_string())),
            None => Err(Error::unavailable("the attempt was stopped")),
        }
    }
}

/// The bytes that are signed with.
fn key(secret: &Secret) -> Result<Vec<u8>> {
    match secret.expose().strip_prefix(BASE64_PREFIX) {
        Some(text) => STANDARD.decode(text).map_err(|_| {
            Error::invalid(format!("the webhook's secret has no base64 after {BASE64_PREFIX}"))
        }),
        None => Ok(secret.expose().as_bytes().to_vec()),
    }
}

fn signature(key: &[u8], message: &WebhookMessage) -> String {
    let mut signing =
        ring::hmac::Context::with_key(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key));
    let seconds = message.sent_at.0.div_euclid(1000);
    signing.update(format!("{}.{seconds}.", message.id).as_bytes());
    signing.update(&message.body);
    format!("v1,{}", STANDARD.encode(signing.sign()))
}

#[cfg(test)]
mod tests {
    use crossbill_core::ErrorKind;

    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn a_message_is_signed_as_standard_webhooks_are() {
        let message = WebhookMessage {
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek".into(),
            sent_at: Timestamp(1_614_265_330_999),
            body: br#"{"test": 2432232314}"#.to_vec(),
        };
        let key = key(&Secret::new(SECRET)).unwrap();
        assert_eq!(signature(&key, &message), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn addresses_and_secrets_are_checked_and_never_shown() {
        let made = |url: &str, secret: &str| Webhook::new(url, Secret::new(secret));
        let good = made("http://127.0.0.1:9/hook?token=abc", SECRET).unwrap();
        assert_eq!(good.host(), "127.0.0.1");
        assert!(!format!("{good:?}").contains("MfKQ9"));
        made("https://[::1]/hook", "sixteen bytes ok").unwrap();
        for (url, kind) in [
            ("hook", ErrorKind::Invalid),
            ("file:///etc/passwd", ErrorKind::Invalid),
            ("https://user:pass@example.com/", ErrorKind::Invalid),
            ("http://169.254.169.254/latest", ErrorKind::Forbidden),
            ("http://[fd00:ec2::254]/", ErrorKind::Forbidden),
            ("http://0.0.0.0/", ErrorKind::Forbidden),
        ] {
            let error = made(url, SECRET).unwrap_err();
            assert_eq!(error.kind(), kind, "{url}: {error}");
            assert!(!error.message().contains("pass"), "{error}");
        }
        for secret in ["", "short", "whsec_", "whsec_not base64!"] {
            let error = made("https://example.com/", secret).unwrap_err();
            assert!(!error.message().contains("not base64!"), "{error}");
        }
    }
}
