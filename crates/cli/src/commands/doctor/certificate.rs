//! Until when a certificate is valid. Reads only as much of X.509 as lies
//! before that date; whether key and certificate fit, TLS itself says.

use crossbill_core::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// From when and until when each certificate of a chain in PEM is valid;
/// nothing of one that cannot be read.
pub(super) fn validity(pem: &[u8]) -> Vec<Option<(Timestamp, Timestamp)>> {
    let chain = CertificateDer::pem_slice_iter(pem);
    chain.map(|one| one.ok().and_then(|one| dates(one.as_ref()))).collect()
}

fn dates(der: &[u8]) -> Option<(Timestamp, Timestamp)> {
    let (certificate, _) = expect(der, SEQUENCE)?;
    let (signed, _) = expect(certificate, SEQUENCE)?;
    let signed = match element(signed)? {
        (VERSION, _, rest) => rest,
        _ => signed,
    };
    let (_, signed) = expect(signed, INTEGER)?; // serial number
    let (_, signed) = expect(signed, SEQUENCE)?; // algorithm
    let (_, signed) = expect(signed, SEQUENCE)?; // issuer
    let (validity, _) = expect(signed, SEQUENCE)?;
    let (kind, from, rest) = element(validity)?;
    let (until_kind, until, _) = element(rest)?;
    Some((time(kind, from)?, time(until_kind, until)?))
}

/// The content of the element that `der` begins with, which must be of
/// `tag`, and what follows it.
fn expect(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(der)?;
    (found == tag).then_some((content, rest))
}

/// Tag and content of the element that `der` begins with, and what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // Longer ones say first in how many bytes.
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            (digits.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

fn time(kind: u8, content: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(content).ok()?.strip_suffix('Z')?;
    let (year, rest) = match kind {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            // Two digits stand for 1950 to 2049.
            let century = if year.parse::<u32>().ok()? < 50 { "20" } else { "19" };
            (format!("{century}{year}"), rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.to_owned(), rest)
        }
        _ => return None,
    };
    if rest.len() != 10 || !rest.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let two = |at: usize| &rest[at..at + 2];
    format!("{year}-{}-{}T{}:{}:{}Z", two(0), two(2), two(4), two(6), two(8)).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read() {
        let at = |kind, text: &str| time(kind, text.as_bytes()).map(|at| at.to_string());
        assert_eq!(at(UTC_TIME, "261231235959Z").unwrap(), "2026-12-31T23:59:59.000Z");
        assert_eq!(at(UTC_TIME, "991231235959Z").unwrap(), "1999-12-31T23:59:59.000Z");
        assert_eq!(at(GENERALIZED_TIME, "20500101000000Z").unwrap(), "2050-01-01T00:00:00.000Z");
        for bad in ["", "Z", "26123123595Z", "2612312359xxZ", "261231235959"] {
            assert_eq!(at(UTC_TIME, bad), None, "{bad}");
        }
    }

    #[test]
    fn nothing_panics_on_bytes_that_are_none() {
        for der in [&[][..], &[0x30], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &[0x30, 2, 0x30, 0x85]]
        {
            assert_eq!(dates(der), None);
        }
        assert!(validity(b"no PEM").is_empty());
    }
}
