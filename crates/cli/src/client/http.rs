//! What every HTTP client of the command line shares: how it is made, and how
//! addresses are read. Sends nothing itself.

use std::time::Duration;

use reqwest::Url;

use crate::error::{CliError, Result};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Lets clients speak TLS.
pub(crate) fn install_tls() {
    // Fails only where a provider is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A client for `server` whose requests end within `timeout`. It follows no
/// redirects: a key goes nowhere else.
pub(crate) fn client(server: &Url, timeout: Duration) -> Result<reqwest::Client> {
    install_tls();
    let mut http = reqwest::Client::builder()
        .user_agent(concat!("crossbill-cli/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none());
    if is_loopback(server) {
        // A proxy for the outside must not swallow what stays inside.
        http = http.no_proxy();
    }
    http.build().map_err(|error| cannot_make(&error))
}

/// That there is no client.
pub(crate) fn cannot_make(error: &dyn std::fmt::Display) -> CliError {
    CliError::failed(format!("cannot make the HTTP client: {error}"))
}

/// Reads a base address; one without a scheme has `scheme`.
pub(crate) fn base_url(text: &str, scheme: &str) -> std::result::Result<Url, String> {
    let text = if text.contains("://") { text.to_owned() } else { format!("{scheme}://{text}") };
    let url = Url::parse(&text).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("expected http://HOST:PORT or https://HOST:PORT".to_owned());
    }
    Ok(url)
}

/// The address of a path below `base`; each of its names is encoded.
pub(crate) fn with_path(base: &Url, path: &[&str]) -> Url {
    let mut url = base.clone();
    url.path_segments_mut()
        .expect("a base address was checked to be http or https")
        .pop_if_empty()
        .extend(path);
    url
}

/// Whether an address is one of this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

/// Why a request had no answer, without its address.
pub(crate) fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let read = |text| base_url(text, "http");
        assert_eq!(read("127.0.0.1:5080").unwrap().as_str(), "http://127.0.0.1:5080/");
        assert_eq!(read("https://x.example/p").unwrap().as_str(), "https://x.example/p");
        assert_eq!(base_url("x.example", "https").unwrap().as_str(), "https://x.example/");
        for wrong in ["", "ftp://x", "file:///x", "http://"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn paths_are_encoded() {
        let base = base_url("http://127.0.0.1:1", "http").unwrap();
        let url = with_path(&base, &["bulk", "imports", "a/b c"]);
        assert_eq!(url.as_str(), "http://127.0.0.1:1/bulk/imports/a%2Fb%20c");
    }

    #[test]
    fn loopback_needs_no_proxy() {
        for (url, expected) in
            [("http://127.0.0.1:1", true), ("http://[::1]:1", true), ("http://x.example", false)]
        {
            assert_eq!(is_loopback(&base_url(url, "http").unwrap()), expected, "{url}");
        }
    }
}
