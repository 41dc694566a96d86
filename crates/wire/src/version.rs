//! The API version that a request names.

/// A version such as `2025-10`. Versions are compared as text, which is right
/// for a year and a month; one that is unknown is never refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion<'a>(&'a str);

impl<'a> ApiVersion<'a> {
    /// What a request without the header speaks.
    pub const DEFAULT: ApiVersion<'static> = ApiVersion("2025-10");
    /// The version that speaks of schemas and deployments only.
    pub const SCHEMA: ApiVersion<'static> = ApiVersion("2026-07");

    /// The version of a request, from its header where it has one.
    pub fn of(header: Option<&'a str>) -> Self {
        header.map(str::trim).filter(|text| !text.is_empty()).map_or(Self::DEFAULT, ApiVersion)
    }

    /// The version as text.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// Whether pod deployments are refused by name.
    pub fn refuses_pods(self) -> bool {
        self >= Self::SCHEMA && self.0.starts_with("20")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_date() {
        assert!(ApiVersion::of(Some("2026-07")).refuses_pods());
        assert!(ApiVersion::of(Some("2027-01")).refuses_pods());
        for older in [None, Some(""), Some("2025-04"), Some("2026-01.alpha"), Some("unstable")] {
            assert!(!ApiVersion::of(older).refuses_pods(), "{older:?}");
        }
    }
}
