//! The syntax of queries: what each finds, and what is refused how.

use std::collections::BTreeSet;

use crossbill_core::limits::{TEXT_AUTOMATA_MAX, TEXT_CLAUSES_MAX, TEXT_QUERY_BYTES_MAX};
use crossbill_core::{Ngrams, TextOptions};
use proptest::prelude::*;

use super::*;

fn two_fields() -> TextFields {
    fields(&[("title", plain()), ("body", plain())])
}

fn parse(fields: &TextFields, query: &str) -> Result<TextQuery, TextQueryError> {
    TextQuery::parse(fields, &[TextClause::QueryString(query.into())])
}

fn rows_of(index: &TextIndex, query: &str) -> BTreeSet<u32> {
    let parsed = parse(index.fields(), query).unwrap_or_else(|error| panic!("{query}: {error}"));
    found(index, &parsed).into_iter().collect()
}

#[test]
fn each_operator_finds_what_it_says() {
    let fields = two_fields();
    let index = index(
        &fields,
        &[
            row(&[("title", "quantum machine"), ("body", "machine learning is great")]), // 0
            row(&[("title", "james webb"), ("body", "machine deep learning")]),          // 1
            row(&[("title", "james watson"), ("body", "computer vision or learning")]),  // 2
            row(&[("title", "james wilde"), ("body", "computing database a b c")]),      // 3
            row(&[("title", "x"), ("body", "a c")]),                                     // 4
            row(&[("title", "x"), ("body", "AND or NOT b")]),                            // 5
        ],
    );
    for (query, expected) in [
        ("quantum", &[0][..]),
        ("QUANTUM", &[0]),
        ("body:(machine)", &[0, 1]),
        ("body:machine", &[0, 1]),
        ("machine computing", &[0, 1, 3]),
        ("body:(machine learning)", &[0, 1, 2]),
        ("\"machine learning\"", &[0]),
        ("body:(\"machine learning\")", &[0]),
        ("body:\"machine learning\"~1", &[0, 1]),
        ("body:(machine AND learning)", &[0, 1]),
        ("body:(computer OR computing)", &[2, 3]),
        ("body:(learning NOT machine)", &[2]),
        ("learning -machine", &[2]),
        ("body:(+learning computer)", &[0, 1, 2]),
        ("+learning +computer", &[2]),
        ("body:(a AND b OR vision)", &[2, 3]),
        ("body:(vision OR a AND b)", &[2, 3]),
        ("body:((a OR vision) AND c)", &[3, 4]),
        ("body:(a c -b)", &[4]),
        ("a AND NOT b", &[4]),
        ("NOT b AND a", &[4]),
        ("title:(quantum) OR body:(vision)", &[0, 2]),
        ("title:james body:great", &[0, 1, 2, 3]),
        ("+title:james +learning", &[1, 2]),
        ("title:(\"james w\"*)", &[1, 2, 3]),
        ("title:\"james wi\"*", &[3]),
        ("title:\"james x\"*", &[]),
        ("body:/comput.*/", &[2, 3]),
        ("body:/learn(ing|t)/", &[0, 1, 2]),
        ("/qu.*/", &[0]),
        ("body:compxter~1", &[2]),
        ("body:compter~", &[2]),
        ("body:(compuxxr~2)", &[2]),
        ("body:compxter~0", &[]),
        ("body:vis~", &[]),
        ("machin*", &[]),
        ("machine -learn*", &[0, 1]),
        ("machine^3 vision", &[0, 1, 2]),
        ("(machine OR vision)^2 a", &[0, 1, 2, 3, 4]),
        ("machine^0", &[0, 1]),
        ("-machine", &[]),
        ("NOT machine", &[]),
        ("(a) (b)", &[3, 4, 5]),
        ("()", &[]),
        ("", &[]),
        ("a\\-b", &[3]),
        ("body:(\"and or\")", &[5]),
        ("and not", &[5]),
        ("body:great && title:quantum", &[0]),
        ("great || webb", &[0, 1]),
        ("deep-learning", &[1]),
        ("it's machine", &[0, 1]),
        ("\"quoted \\\" machine\"", &[]),
    ] {
        assert_eq!(rows_of(&index, query), expected.iter().copied().collect(), "{query}");
    }
}

#[test]
fn words_count_by_boosts_and_exact_ones_before_typos() {
    let fields = fields(&[("a", plain())]);
    let index = index(
        &fields,
        &[row(&[("a", "machine")]), row(&[("a", "learning")]), row(&[("a", "machina")])],
    );
    let order = |query: &str| found(&index, &parse(&fields, query).unwrap());
    assert_eq!(order("machine^3 learning"), [0, 1]);
    assert_eq!(order("machine learning^3"), [1, 0]);
    assert_eq!(order("machine^0.5 learning"), [1, 0]);
    assert_eq!(order("machina~1"), [2, 0]);
    assert_eq!(order("machine~"), [0, 2]);
}

#[test]
fn fields_of_parts_of_words_find_parts() {
    let grams = Ngrams { min_gram: 3, max_gram: 4, prefix_only: false };
    let options = TextOptions { ngrams: Some(grams), ..plain() };
    let fields = fields(&[("a", options)]);
    let index = index(
        &fields,
        &[row(&[("a", "computer science")]), row(&[("a", "commuter")]), row(&[("a", "rocket")])],
    );
    for (query, expected) in [
        ("comp", &[0][..]),
        ("uter", &[0, 1]),
        ("mput", &[0]),
        ("\"puter scie\"", &[0]),
        ("\"scie puter\"", &[]),
        ("co", &[]),
        ("computer~1", &[0]),
        ("\"computer sci\"*", &[0]),
    ] {
        assert_eq!(rows_of(&index, query), expected.iter().copied().collect(), "{query}");
    }
    let clause = TextClause::Text { fields: vec!["a".into()], query: "muters".into() };
    let any = TextQuery::parse(&fields, &[clause]).unwrap();
    assert_eq!(found(&index, &any), [1, 0]);
}

#[test]
fn clauses_of_plain_text_have_no_operators() {
    let fields = two_fields();
    let index = index(
        &fields,
        &[
            row(&[("title", "machine"), ("body", "x")]),
            row(&[("title", "x"), ("body", "learning AND more")]),
        ],
    );
    let text = |fields: &[&str], query: &str| TextClause::Text {
        fields: fields.iter().map(|&name| name.into()).collect(),
        query: query.into(),
    };
    let rows = |clauses: &[TextClause]| found(&index, &TextQuery::parse(&fields, clauses).unwrap());
    assert_eq!(rows(&[text(&["title"], "-machine^2 \"learning\"~")]), [0]);
    assert_eq!(rows(&[text(&["body", "body"], "+AND -learning")]), [1]);
    assert_eq!(rows(&[text(&["title", "body"], "machine")]), [0]);
    assert_eq!(
        rows(&[text(&["title"], "machine"), TextClause::QueryString("body:(more)^9".into())]),
        [1, 0]
    );
    assert_eq!(rows(&[text(&["title"], " .. ")]), [0_u32; 0]);
}

#[test]
fn refusals_quote_the_part() {
    let fields = two_fields();
    for (query, expected) in [
        ("nope:(x)", "\"nope\" is no text field: expected one of [\"body\", \"title\"]"),
        ("a (b", "a ( without a ) behind it, at \"(b\""),
        ("a) b", "a ) without a ( before it, at \") b\""),
        ("\"a b", "a \" without a second one"),
        ("body:/a", "a / without a second one"),
        ("body:/a(/", "regular expression /a(/"),
        ("AND a", "an operator with nothing before it, at \"AND a\""),
        ("a OR", "an operator with nothing behind it, at \"OR\""),
        ("a AND OR b", "an operator with nothing"),
        ("a -", "an operator with nothing behind it"),
        ("a - b", "an operator with nothing behind it, at \"- b\""),
        ("body: a", "a field with nothing behind it"),
        ("machine ^2", "a character with nothing before it, at \"^2\""),
        ("machine^ 2", "another boost than a plain number"),
        ("machine^-2", "another boost than a plain number"),
        ("machine^.5", "another boost than a plain number"),
        ("machine^1.", "another boost than a plain number"),
        ("machine^1e3", "an unexpected e"),
        ("machine^2^3", "an unexpected ^"),
        ("machine^(2*3)", "another boost than a plain number"),
        ("a^1000000^1", "an unexpected ^"),
        ("((a^1000000)^1000000)", "boosts of more than"),
        ("a~3", "another distance than 0, 1 or 2, at \"~3\""),
        ("\"a b\"~", "another slop"),
        ("\"a b\"~1000", "another slop"),
        ("\"a\"*", "has one word, expected two or more"),
        ("[a TO b]", "a range"),
        ("a\\", "a \\ at its end"),
        ("(a)~2", "an unexpected ~"),
    ] {
        let message = parse(&fields, query).expect_err(query).to_string();
        assert!(message.contains(expected), "{query}: {message}");
    }
    let refused =
        |clauses: &[TextClause]| TextQuery::parse(&fields, clauses).unwrap_err().to_string();
    let query = |text: String| TextClause::QueryString(text);
    assert!(refused(&[]).contains("0 text clauses, expected 1 to 100"));
    assert!(refused(&vec![query("a".into()); TEXT_CLAUSES_MAX + 1]).contains("101 text clauses"));
    assert!(
        refused(&[query("a ".repeat(TEXT_QUERY_BYTES_MAX))]).contains("expected at most 10240")
    );
    assert!(refused(&vec![query("a ".repeat(5000)); 1]).contains("more than 4096 words"));
    assert!(refused(&[query("(".repeat(5000))]).contains("groups within each other"));
    assert!(refused(&[query("body:".repeat(2000))]).contains("groups within each other"));
    assert!(refused(&[query("abcd~ ".repeat(TEXT_AUTOMATA_MAX))]).contains("fuzzy words"));
    let none = TextClause::Text { fields: Vec::new(), query: "a".into() };
    assert!(refused(&[none]).contains("no fields"));
}

/// Patterns that others have been slow at.
#[test]
fn hard_regular_expressions_end() {
    let fields = fields(&[("a", plain())]);
    let rows: Vec<_> = (0..200).map(|number| row(&[("a", &"a".repeat(number % 41))])).collect();
    let index = index(&fields, &rows);
    for pattern in ["(a|a)*b", "(a*)*", "((a{0,40}){0,40}){0,40}", ".*.*.*.*.*.*b", "[^b]{1,39}a?"]
    {
        if let Ok(query) = parse(&fields, &format!("a:/{pattern}/")) {
            found(&index, &query);
        }
    }
    for pattern in ["((a{0,40}){0,40}){0,40}", r"\w{20}", "[^b]{1,39}a?", "a{1001}"] {
        let message = parse(&fields, &format!("a:/{pattern}/")).unwrap_err().to_string();
        assert!(message.contains("too many classes or repetitions"), "{message}");
    }
}

proptest! {
    #[test]
    fn no_query_panics(text in r#"[\(\)"+\-~^:/*\\ abAND0-9.é]{0,40}"#) {
        let fields = two_fields();
        let _ = parse(&fields, &text);
    }

    #[test]
    fn whatever_reads_can_be_searched(
        parts in prop::collection::vec(prop::sample::select(vec![
            "a", "b", "a b", "\"a b\"", "\"a b\"~2", "\"a b\"*", "(", ")", "+", "-", " ", " AND ",
            " OR ", " NOT ", "title:", "body:", "~1", "^2", "/a.*/", "*",
        ]), 0..12),
    ) {
        let fields = two_fields();
        if let Ok(query) = parse(&fields, &parts.concat()) {
            let index = index(&fields, &[row(&[("title", "a b a"), ("body", "b ab")])]);
            prop_assert!(found(&index, &query).len() <= 1);
        }
    }
}
