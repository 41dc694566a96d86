//! The path of an import URI: literal directories, then perhaps a glob with
//! `*`, `?` (both within one name) and `**` (any directories). Percent escapes
//! are decoded once, and nothing that could climb out of a directory passes.

/// A parsed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathPattern {
    base: Vec<String>,
    rest: Vec<Segment>,
    directory: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    /// `**`: any number of names.
    AnyDepth,
    Name(Vec<Token>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Is(char),
    AnyChar,
    AnyChars,
}

impl PathPattern {
    /// Parses what follows the first slash of a URI's path. The error says
    /// what is wrong with it.
    pub(super) fn parse(path: &str) -> Result<Self, String> {
        let (path, directory) = match path.strip_suffix('/') {
            Some(path) => (path, true),
            None => (path, path.is_empty()),
        };
        let mut base = Vec::new();
        let mut rest = Vec::new();
        if path.is_empty() {
            return Ok(Self { base, rest, directory });
        }
        for text in path.split('/') {
            let segment = parse_segment(text)?;
            match segment.literal() {
                Some(name) if rest.is_empty() => base.push(name),
                _ => rest.push(segment),
            }
        }
        Ok(Self { base, rest, directory })
    }

    /// The names before the first one with a wildcard.
    pub(crate) fn base(&self) -> &[String] {
        &self.base
    }

    /// Whether it has no wildcard.
    pub(crate) fn is_literal(&self) -> bool {
        self.rest.is_empty()
    }

    /// Whether only a directory can be meant, as a slash at the end says.
    pub(super) fn is_directory(&self) -> bool {
        self.directory
    }

    /// Whether it means the file at `path` below its base, either itself or
    /// by meaning a directory above it.
    pub(super) fn matches(&self, path: &str) -> bool {
        if self.rest.is_empty() {
            return true;
        }
        // The places in the pattern that the names so far can have led to.
        let mut places = vec![false; self.rest.len() + 1];
        places[0] = true;
        let mut names = path.split('/').peekable();
        while let Some(name) = names.next() {
            let mut next = vec![false; places.len()];
            self.skip_any_depth(&mut places);
            for (place, segment) in self.rest.iter().enumerate().filter(|(at, _)| places[*at]) {
                match segment {
                    Segment::AnyDepth => next[place] = true,
                    Segment::Name(tokens) => next[place + 1] |= name_matches(tokens, name),
                }
            }
            self.skip_any_depth(&mut next);
            let is_file = names.peek().is_none();
            if next[self.rest.len()] && !(self.directory && is_file) {
                return true;
            }
            places = next;
        }
        false
    }

    fn skip_any_depth(&self, places: &mut [bool]) {
        for (place, segment) in self.rest.iter().enumerate() {
            if places[place] && *segment == Segment::AnyDepth {
                places[place + 1] = true;
            }
        }
    }
}

impl Segment {
    fn literal(&self) -> Option<String> {
        let Self::Name(tokens) = self else { return None };
        tokens.iter().map(|token| if let Token::Is(c) = token { Some(*c) } else { None }).collect()
    }
}

fn parse_segment(text: &str) -> Result<Segment, String> {
    if text.is_empty() {
        return Err("found two slashes in a row, expected a name between them".to_owned());
    }
    if text == "**" {
        return Ok(Segment::AnyDepth);
    }
    let mut tokens = Vec::new();
    let mut run = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'*' | b'?' => {
                flush(&mut run, &mut tokens)?;
                let token = if byte == b'*' { Token::AnyChars } else { Token::AnyChar };
                if !(token == Token::AnyChars && tokens.last() == Some(&token)) {
                    tokens.push(token);
                }
            }
            b'%' => run.push(escaped(bytes.next(), bytes.next())?),
            _ => run.push(byte),
        }
    }
    flush(&mut run, &mut tokens)?;
    if matches!(&tokens[..], [Token::Is('.')] | [Token::Is('.'), Token::Is('.')]) {
        return Err("found the name \".\" or \"..\", which could leave the directory".to_owned());
    }
    Ok(Segment::Name(tokens))
}

/// The byte that `%` and two hex digits stand for.
fn escaped(high: Option<u8>, low: Option<u8>) -> Result<u8, String> {
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    match (digit(high), digit(low)) {
        (Some(high), Some(low)) => Ok((high * 16 + low) as u8),
        _ => Err("found a percent sign without two hex digits after it; write %25 for a \
                  percent sign itself"
            .to_owned()),
    }
}

/// Moves decoded bytes over as characters.
fn flush(run: &mut Vec<u8>, tokens: &mut Vec<Token>) -> Result<(), String> {
    let text = std::str::from_utf8(run)
        .map_err(|_| "its percent escapes do not decode to UTF-8".to_owned())?;
    for c in text.chars() {
        match c {
            '/' => return Err("found an escaped slash in a name".to_owned()),
            '\\' => return Err("found a backslash; names are separated by slashes".to_owned()),
            c if c.is_control() => return Err(format!("found the control character {c:?}")),
            c => tokens.push(Token::Is(c)),
        }
    }
    run.clear();
    Ok(())
}

/// Whether `name` fits, by remembering the last `*` and how far it reached.
fn name_matches(tokens: &[Token], name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut place) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while at < name.len() {
        match tokens.get(place) {
            Some(Token::AnyChars) => {
                star = Some((place, at));
                place += 1;
            }
            Some(Token::AnyChar) => (at, place) = (at + 1, place + 1),
            Some(Token::Is(c)) if *c == name[at] => (at, place) = (at + 1, place + 1),
            _ => {
                let Some((star_place, star_at)) = star else { return false };
                star = Some((star_place, star_at + 1));
                (at, place) = (star_at + 1, star_place + 1);
            }
        }
    }
    tokens[place..].iter().all(|token| *token == Token::AnyChars)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> PathPattern {
        PathPattern::parse(text).unwrap()
    }

    #[test]
    fn paths_split_into_base_and_glob() {
        let pattern = parse("a/b%20c/d*.parquet");
        assert_eq!(pattern.base(), ["a", "b c"]);
        assert!(!pattern.is_literal() && !pattern.is_directory());
        let pattern = parse("a/%2A/");
        assert_eq!(pattern.base(), ["a", "*"]);
        assert!(pattern.is_literal() && pattern.is_directory());
        assert!(parse("").is_directory() && parse("").base().is_empty());
        assert_eq!(parse("%252e%252e").base(), ["%2e%2e"]);
    }

    #[test]
    fn globs_match_names_directories_and_depths() {
        for (pattern, path, expected) in [
            ("x/*.parquet", "a.parquet", true),
            ("x/*.parquet", "a.parquet/part-0", true),
            ("x/*.parquet", "d/a.parquet", false),
            ("x/**/*.parquet", "a.parquet", true),
            ("x/**/*.parquet", "d/e/a.parquet", true),
            ("x/**/*.parquet", "d/e/a.csv", false),
            ("x/**", "d/e/a.csv", true),
            ("x/**/", "a.csv", false),
            ("x/**/", "d/a.csv", true),
            ("year=*/m?", "year=20/m1", true),
            ("year=*/m?", "year=20/m1/a", true),
            ("year=*/m?", "year=20/m10/a", false),
            ("year=*/", "year=20/a", true),
            ("year=*/", "year=20", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("?", "ä", true),
            ("%3F*", "?x", true),
            ("%3F*", "xx", false),
            ("a/***b", "xb", true),
            ("**/**/**/x", "a/b/c/d/x", true),
            ("*/b", "a/b", true),
            ("*/b", "a", false),
        ] {
            assert_eq!(parse(pattern).matches(path), expected, "{pattern} on {path}");
        }
    }

    #[test]
    fn hostile_patterns_do_not_run_away() {
        let pattern = parse(&"*a".repeat(100));
        assert!(!pattern.matches(&"a".repeat(99)));
        let pattern = parse(&["**"; 100].join("/"));
        assert!(pattern.matches(&["a"; 100].join("/")));
    }

    proptest! {
        #[test]
        fn nothing_that_climbs_passes(text in "[a%2eEfF0/.\\\\*?5c]{0,24}") {
            if let Ok(pattern) = PathPattern::parse(&text) {
                for name in pattern.base() {
                    prop_assert!(!name.is_empty() && name != "." && name != "..");
                    prop_assert!(!name.contains(['/', '\\', '\0']));
                }
                let _ = pattern.matches(&text);
            }
        }
    }
}
