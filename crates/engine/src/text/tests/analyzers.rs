//! How text is taken apart, option by option.

use crossbill_core::{Language, Ngrams, TextOptions};

use super::{fields, plain};

fn words(options: TextOptions, text: &str) -> Vec<(usize, String)> {
    fields(&[("a", options)]).words(0, text, 1000)
}

fn texts(options: TextOptions, text: &str) -> Vec<String> {
    words(options, text).into_iter().map(|(_, word)| word).collect()
}

#[test]
fn each_option_takes_text_apart_in_its_way() {
    let stemming = TextOptions { stemming: true, ..plain() };
    let stop_words = TextOptions { stop_words: true, ..plain() };
    let of = |language, options: TextOptions| TextOptions { language, ..options };
    let grams = |min_gram, max_gram, prefix_only| TextOptions {
        ngrams: Some(Ngrams { min_gram, max_gram, prefix_only }),
        ..plain()
    };
    let both = TextOptions { stemming: true, stop_words: true, ..plain() };
    for (options, text, expected) in [
        (
            plain(),
            "State-of-the-Art, Models!\tÜber_größe 3.5",
            "state of the art models über größe 3 5",
        ),
        (plain(), " -- ", ""),
        (stemming, "State-of-the-Art Models running", "state of the art model run"),
        (stop_words, "The cat and the hat", "cat hat"),
        (both, "The cats and the running", "cat run"),
        (of(Language::French, stemming), "chansons chantées", "chanson chant"),
        (of(Language::German, stop_words), "der Hund und die Katze", "hund katze"),
        (of(Language::Turkish, stop_words), "ve ile the", "ve ile the"),
        (of(Language::Greek, stop_words), "και the", "και the"),
        (grams(3, 4, false), "Search", "sea sear ear earc arc arch rch"),
        (grams(2, 3, true), "Ab über xyz", "ab üb übe xy xyz"),
        (grams(1, 1, false), "日本 a", "日 本 a"),
        (grams(4, 10, false), "abc", ""),
    ] {
        assert_eq!(texts(options, text).join(" "), expected, "{options:?} {text:?}");
    }
}

#[test]
fn long_words_are_cut_and_places_stay() {
    let long = "ä".repeat(50);
    assert_eq!(texts(plain(), &long), ["ä".repeat(40)]);
    let stop_words = TextOptions { stop_words: true, ..plain() };
    assert_eq!(words(stop_words, "the cat in the hat"), [(1, "cat".into()), (4, "hat".into())]);
    let grams = TextOptions {
        ngrams: Some(Ngrams { min_gram: 2, max_gram: 2, prefix_only: false }),
        ..plain()
    };
    let expected = [(0, "ab"), (0, "bc"), (1, "de")].map(|(at, word)| (at, word.to_owned()));
    assert_eq!(words(grams, "abc de"), expected);
}

/// Every language has what the service says of it.
#[test]
fn all_languages_have_stems_and_some_stop_words() {
    for (code, word) in [
        ("da", "og"),
        ("de", "und"),
        ("en", "the"),
        ("es", "que"),
        ("fi", "ja"),
        ("fr", "les"),
        ("hu", "és"),
        ("it", "che"),
        ("nl", "het"),
        ("no", "og"),
        ("pt", "que"),
        ("ru", "не"),
        ("sv", "och"),
        ("ar", ""),
        ("el", ""),
        ("ro", ""),
        ("ta", ""),
        ("tr", ""),
    ] {
        let language = Language::parse(code).unwrap();
        let options = TextOptions { language, stop_words: true, ..plain() };
        assert!(texts(options, word).is_empty(), "{code}");
        let stemming = TextOptions { language, stemming: true, ..plain() };
        assert!(!texts(stemming, "word слово λέξη كلمة").is_empty(), "{code}");
    }
    assert_eq!(Language::codes().count(), 18);
}
