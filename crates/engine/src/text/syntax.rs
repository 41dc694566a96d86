//! The syntax of Lucene's queries, as much of it as text has a use for: words,
//! "phrases" (with ~slop or a * behind), AND OR NOT + -, groups, field:…,
//! ^boost, fuzzy~ words and /regular expressions/. What stands side by side is
//! joined by OR; AND binds tighter. Depth is bounded; each character is read
//! once.

use crossbill_core::limits::{QUOTED_CHARS_MAX, TEXT_DEPTH_MAX, TEXT_SLOP_MAX};
use tantivy::query::Occur;

use super::query::{Leaves, Node, TextQueryError};

/// Scores are multiplied by this at most, all boosts around a word together.
const BOOST_MAX: f32 = 1e9;

/// What a part of a query asks for; nothing where none of its words count.
type Part = Option<Node>;

/// Reads a query. `None` where it asks for nothing.
pub(super) fn parse(text: &str, leaves: &mut Leaves<'_>) -> Result<Part, TextQueryError> {
    let mut parser = Parser { text, at: 0, depth: 0, leaves };
    let node = parser.list(None)?;
    if parser.at < text.len() {
        return Err(parser.error(parser.at, "a ) without a ( before it"));
    }
    if node.as_ref().is_some_and(|node| boost_of(node) > BOOST_MAX) {
        return Err(parser.error(0, &format!("boosts of more than {BOOST_MAX} together")));
    }
    Ok(node)
}

/// The largest product of boosts around any word.
fn boost_of(node: &Node) -> f32 {
    match node {
        Node::Boost(inner, factor) => factor * boost_of(inner),
        Node::Bool(parts) => parts.iter().map(|(_, part)| boost_of(part)).fold(0.0_f32, f32::max),
        _ => 1.0,
    }
}

/// How an operand is joined to the one before it.
#[derive(Clone, Copy, PartialEq)]
enum Join {
    And,
    Or,
}

struct Parser<'a, 'f> {
    text: &'a str,
    /// The byte that is read next.
    at: usize,
    depth: usize,
    leaves: &'a mut Leaves<'f>,
}

impl<'a> Parser<'a, '_> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    /// Takes the character where it is the next one.
    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn error(&self, at: usize, found: &str) -> TextQueryError {
        let quoted: String = self.text[at..].chars().take(QUOTED_CHARS_MAX).collect();
        TextQueryError::new(format!("the text query has {found}, at {quoted:?}"))
    }

    /// Whether one of these operators stands next, as a word of its own; it is
    /// taken then.
    fn operator(&mut self, names: [&str; 2]) -> bool {
        let ends = |rest: &str| {
            let next = rest.chars().next();
            next.is_none_or(|next| next.is_whitespace() || matches!(next, '(' | ')' | '"'))
        };
        let found = names.iter().find(|name| self.rest().strip_prefix(**name).is_some_and(ends));
        self.at += found.map_or(0, |name| name.len());
        found.is_some()
    }

    /// Operands up to the end or a `)`, which is left.
    fn list(&mut self, field: Option<usize>) -> Result<Part, TextQueryError> {
        let mut groups: Vec<Vec<(Occur, Part)>> = Vec::new();
        loop {
            self.skip_space();
            let begin = self.at;
            let join = if self.operator(["AND", "&&"]) {
                Some(Join::And)
            } else if self.operator(["OR", "||"]) {
                Some(Join::Or)
            } else {
                None
            };
            self.skip_space();
            let is_end = matches!(self.peek(), None | Some(')'));
            match join {
                Some(_) if groups.is_empty() => {
                    return Err(self.error(begin, "an operator with nothing before it"));
                }
                Some(_) if is_end => {
                    return Err(self.error(begin, "an operator with nothing behind it"));
                }
                None if is_end => break,
                _ => {}
            }
            let operand = self.signed_operand(field)?;
            match groups.last_mut() {
                Some(group) if join == Some(Join::And) => group.push(operand),
                _ => groups.push(vec![operand]),
            }
        }
        Ok(joined(groups))
    }

    fn signed_operand(&mut self, field: Option<usize>) -> Result<(Occur, Part), TextQueryError> {
        let begin = self.at;
        let occur = if self.take('+') {
            Occur::Must
        } else if self.take('-') || self.operator(["NOT", "!"]) {
            Occur::MustNot
        } else {
            return Ok((Occur::Should, self.operand(field)?));
        };
        let is_word = self.text[begin..].starts_with(['N', '!']);
        if is_word {
            self.skip_space();
        }
        match self.peek() {
            None | Some(')' | '+' | '-') => {
                Err(self.error(begin, "an operator with nothing behind it"))
            }
            Some(next) if next.is_whitespace() => {
                Err(self.error(begin, "an operator with nothing behind it"))
            }
            Some(_) => Ok((occur, self.operand(field)?)),
        }
    }

    fn operand(&mut self, field: Option<usize>) -> Result<Part, TextQueryError> {
        let begin = self.at;
        if self.operator(["AND", "&&"]) || self.operator(["OR", "||"]) {
            return Err(self.error(begin, "an operator with nothing before it"));
        }
        match self.peek() {
            Some('(') => {
                self.at += 1;
                self.deeper(begin)?;
                let node = self.list(field)?;
                if !self.take(')') {
                    return Err(self.error(begin, "a ( without a ) behind it"));
                }
                self.depth -= 1;
                self.boosted(node)
            }
            Some('"') => {
                let node = self.phrase(field)?;
                self.boosted(node)
            }
            Some('/') => {
                let pattern = self.quoted('/')?;
                let node = self.leaves.regex(field, &pattern)?;
                self.boosted(node)
            }
            Some('[' | '{') => Err(self.error(begin, "a range, which text fields have none of")),
            Some(':' | '^' | '~') => Err(self.error(begin, "a character with nothing before it")),
            _ => self.word(field),
        }
    }

    fn deeper(&mut self, begin: usize) -> Result<(), TextQueryError> {
        self.depth += 1;
        if self.depth > TEXT_DEPTH_MAX {
            let found = format!("more than {TEXT_DEPTH_MAX} groups within each other");
            return Err(self.error(begin, &found));
        }
        Ok(())
    }

    /// What stands between two of these marks; a mark behind a backslash stands
    /// for itself.
    fn quoted(&mut self, mark: char) -> Result<String, TextQueryError> {
        let begin = self.at;
        self.at += mark.len_utf8();
        let mut text = String::new();
        loop {
            match self.next() {
                None => return Err(self.error(begin, &format!("a {mark} without a second one"))),
                Some('\\') if self.peek() == Some(mark) => {
                    text.push(mark);
                    self.at += mark.len_utf8();
                }
                Some(next) if next == mark => return Ok(text),
                Some(next) => text.push(next),
            }
        }
    }

    fn phrase(&mut self, field: Option<usize>) -> Result<Part, TextQueryError> {
        let text = self.quoted('"')?;
        if self.take('*') {
            return self.leaves.prefix(field, &text);
        }
        let begin = self.at;
        if !self.take('~') {
            return self.leaves.phrase(field, &text, 0);
        }
        match self.digits().parse() {
            Ok(slop) if slop <= TEXT_SLOP_MAX => self.leaves.phrase(field, &text, slop),
            _ => {
                let expected = format!("another slop than 0 to {TEXT_SLOP_MAX}");
                Err(self.error(begin, &expected))
            }
        }
    }

    /// A word with what stands behind it, or a field's name with what it is for.
    fn word(&mut self, field: Option<usize>) -> Result<Part, TextQueryError> {
        let begin = self.at;
        let (mut word, mut is_wild) = (String::new(), false);
        while let Some(next) = self.peek() {
            match next {
                '(' | ')' | '"' | ':' | '^' | '~' => break,
                space if space.is_whitespace() => break,
                '\\' => {
                    self.at += 1;
                    let escaped = self.next();
                    word.push(escaped.ok_or_else(|| self.error(begin, "a \\ at its end"))?);
                    continue;
                }
                '*' => is_wild = true,
                _ => {}
            }
            word.push(next);
            self.at += next.len_utf8();
        }
        if self.take(':') {
            let field = self.leaves.fields.find(&word)?;
            if self.peek().is_none_or(|next| next.is_whitespace() || next == ')') {
                return Err(self.error(begin, "a field with nothing behind it"));
            }
            self.deeper(begin)?;
            let node = self.operand(Some(field))?;
            self.depth -= 1;
            return Ok(node);
        }
        let behind = self.at;
        let node = if self.take('~') {
            let distance = match self.digits() {
                "" => None,
                "0" => Some(0),
                "1" => Some(1),
                "2" => Some(2),
                _ => return Err(self.error(behind, "another distance than 0, 1 or 2")),
            };
            self.leaves.fuzzy(field, &word, distance)?
        } else if is_wild {
            // Words with wildcards are never found, as the service documents.
            Some(Node::Nothing)
        } else {
            self.leaves.phrase(field, &word, 0)?
        };
        self.boosted(node)
    }

    fn digits(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|next: char| !next.is_ascii_digit()).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// `node` with the boost behind it, where there is one; the end of an
    /// operand.
    fn boosted(&mut self, node: Part) -> Result<Part, TextQueryError> {
        let begin = self.at;
        let mut boost = None;
        if self.take('^') {
            let wrong = "another boost than a plain number such as 2 or 0.5";
            let whole = self.digits();
            let is_number = !whole.is_empty() && (!self.take('.') || !self.digits().is_empty());
            let number = self.text[begin + 1..self.at].parse::<f32>().ok();
            match number.filter(|number| is_number && number.is_finite()) {
                Some(number) => boost = Some(number),
                None => return Err(self.error(begin, wrong)),
            }
        }
        if let Some(next) = self.peek()
            && !next.is_whitespace()
            && !matches!(next, ')' | '(' | '"')
        {
            return Err(self.error(begin, &format!("an unexpected {next}")));
        }
        Ok(match (node, boost) {
            (Some(node), Some(boost)) => Some(Node::Boost(Box::new(node), boost)),
            (node, _) => node,
        })
    }
}

/// Groups are joined by OR, what stands in one by AND.
fn joined(groups: Vec<Vec<(Occur, Part)>>) -> Part {
    let mut parts: Vec<(Occur, Node)> = Vec::with_capacity(groups.len());
    for group in groups {
        if group.len() == 1 {
            parts.extend(group.into_iter().filter_map(|(occur, node)| Some((occur, node?))));
            continue;
        }
        let required = |occur| if occur == Occur::Should { Occur::Must } else { occur };
        let group = group.into_iter().filter_map(|(occur, node)| Some((required(occur), node?)));
        let group: Vec<(Occur, Node)> = group.collect();
        if !group.is_empty() {
            parts.push((Occur::Should, Node::Bool(group)));
        }
    }
    match parts.len() {
        0 => None,
        1 if parts[0].0 != Occur::MustNot => parts.pop().map(|(_, node)| node),
        _ => Some(Node::Bool(parts)),
    }
}
