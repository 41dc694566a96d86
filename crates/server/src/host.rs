//! Which host an index is said to be at: the one address that the client
//! which asks can reach, with scheme and port spelled out.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The `host` of an index that listens on `port`.
///
/// The operator's `public` address wins; then the host that the client itself
/// used (`requested`: the `Host` header or the authority); then the address
/// that the connection came in on. The scheme is that of the listeners: plain
/// HTTP needs the `http://`, for the clients put `https://` before a host
/// without one.
pub(crate) fn index_host(
    public: Option<&str>,
    requested: Option<&str>,
    local: SocketAddr,
    port: u16,
    tls: bool,
) -> String {
    let scheme = if tls { "https" } else { "http" };
    if let Some(public) = public {
        let public = public.trim_end_matches('/');
        return match public.contains("://") {
            true => format!("{public}:{port}"),
            false => format!("{scheme}://{public}:{port}"),
        };
    }
    match requested.and_then(host_alone) {
        Some(host) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{}", SocketAddr::new(reachable(local.ip()), port)),
    }
}

/// The host without its port, where the text is a host at all.
fn host_alone(text: &str) -> Option<&str> {
    let host = match text.strip_prefix('[') {
        Some(rest) => &text[..rest.find(']')? + 2],
        None => text.split(':').next()?,
    };
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b".-_[]:".contains(&byte);
    (!host.is_empty() && host.len() <= 255 && host.bytes().all(good)).then_some(host)
}

/// Whether `text` (a `Host` header, an authority or an `Origin`) names this
/// machine to itself: a loopback address or a `localhost` name.
pub(crate) fn is_loopback(text: &str) -> bool {
    let authority = text.split_once("://").map_or(text, |(_, authority)| authority);
    let Some(host) = host_alone(authority) else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = bare.to_ascii_lowercase();
    bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        || name == "localhost"
        || name.ends_with(".localhost")
}

fn reachable(ip: IpAddr) -> IpAddr {
    if ip.is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { ip }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_names_are_told_apart() {
        for yes in
            ["127.0.0.1:5080", "[::1]:1", "localhost", "http://Localhost:3000", "a.localhost"]
        {
            assert!(is_loopback(yes), "{yes}");
        }
        for no in ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", "null", "", "localhost.x"]
        {
            assert!(!is_loopback(no), "{no}");
        }
    }

    #[test]
    fn the_client_gets_back_the_host_it_used() {
        let local: SocketAddr = "0.0.0.0:5080".parse().unwrap();
        let host = |public, requested| index_host(public, requested, local, 5081, false);
        for (public, requested, expected) in [
            (None, Some("127.0.0.1:5080"), "http://127.0.0.1:5081"),
            (None, Some("vectors.local"), "http://vectors.local:5081"),
            (None, Some("[::1]:5080"), "http://[::1]:5081"),
            (None, Some("bad host\"<"), "http://127.0.0.1:5081"),
            (None, Some("[::1"), "http://127.0.0.1:5081"),
            (None, Some(""), "http://127.0.0.1:5081"),
            (None, None, "http://127.0.0.1:5081"),
            (Some("10.0.0.7"), Some("x"), "http://10.0.0.7:5081"),
            (Some("https://db.example.com/"), None, "https://db.example.com:5081"),
        ] {
            assert_eq!(host(public, requested), expected, "{public:?} {requested:?}");
        }
        let v6: SocketAddr = "[fe80::1]:5080".parse().unwrap();
        assert_eq!(index_host(None, None, v6, 5081, false), "http://[fe80::1]:5081");
        assert_eq!(index_host(None, None, v6, 5081, true), "https://[fe80::1]:5081");
        assert_eq!(index_host(None, Some("db:1"), v6, 5081, true), "https://db:5081");
        assert_eq!(index_host(Some("db"), None, v6, 5081, true), "https://db:5081");
        assert_eq!(index_host(Some("http://db"), None, v6, 5081, true), "http://db:5081");
    }
}
