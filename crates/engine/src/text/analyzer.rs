//! From text to words, as a field's options say: split at all that is neither
//! letter nor digit, lower case, stems, stop words, a cap on their length. Or
//! parts of words in place of words. Knows no index.

use crossbill_core::limits::TEXT_TOKEN_CHARS_MAX;
use crossbill_core::{Language, Ngrams, TextOptions};
use tantivy::tokenizer::{
    LowerCaser, SimpleTokenizer, Stemmer, StopWordFilter, TextAnalyzer, Token, TokenFilter,
    TokenStream, Tokenizer,
};

/// A word and its place among those of its text.
pub(super) type Word = (usize, String);

/// What takes a field's text apart.
pub(super) fn analyzer(options: &TextOptions) -> TextAnalyzer {
    let words = TextAnalyzer::builder(SimpleTokenizer::default()).filter(LowerCaser);
    if let Some(ngrams) = options.ngrams {
        return words.filter(Grams(ngrams)).build();
    }
    let mut words = words.dynamic();
    let language = language(options.language);
    if options.stemming {
        words = words.filter_dynamic(Stemmer::new(language));
    }
    if options.stop_words
        && let Some(stop_words) = StopWordFilter::new(language)
    {
        words = words.filter_dynamic(stop_words);
    }
    words.filter(Cap).build()
}

/// What takes words apart that are not whole yet: neither stems nor stop words.
pub(super) fn prefix_analyzer() -> TextAnalyzer {
    TextAnalyzer::builder(SimpleTokenizer::default()).filter(LowerCaser).filter(Cap).build()
}

/// The words of `text`, up to `most` of them.
pub(super) fn words(analyzer: &TextAnalyzer, text: &str, most: usize) -> Vec<Word> {
    let mut analyzer = analyzer.clone();
    let mut stream = analyzer.token_stream(text);
    let mut words = Vec::new();
    while words.len() < most && stream.advance() {
        let token = stream.token();
        words.push((token.position, token.text.clone()));
    }
    words
}

fn language(language: Language) -> tantivy::tokenizer::Language {
    use tantivy::tokenizer::Language as Known;
    match language {
        Language::Arabic => Known::Arabic,
        Language::Danish => Known::Danish,
        Language::German => Known::German,
        Language::Greek => Known::Greek,
        Language::English => Known::English,
        Language::Spanish => Known::Spanish,
        Language::Finnish => Known::Finnish,
        Language::French => Known::French,
        Language::Hungarian => Known::Hungarian,
        Language::Italian => Known::Italian,
        Language::Dutch => Known::Dutch,
        Language::Norwegian => Known::Norwegian,
        Language::Portuguese => Known::Portuguese,
        Language::Romanian => Known::Romanian,
        Language::Russian => Known::Russian,
        Language::Swedish => Known::Swedish,
        Language::Tamil => Known::Tamil,
        Language::Turkish => Known::Turkish,
    }
}

/// Cuts words off behind the last character that counts.
#[derive(Clone)]
struct Cap;

impl TokenFilter for Cap {
    type Tokenizer<T: Tokenizer> = Capped<T>;

    fn transform<T: Tokenizer>(self, inner: T) -> Capped<T> {
        Capped(inner)
    }
}

#[derive(Clone)]
struct Capped<T>(T);

impl<T: Tokenizer> Tokenizer for Capped<T> {
    type TokenStream<'a> = Capped<T::TokenStream<'a>>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Self::TokenStream<'a> {
        Capped(self.0.token_stream(text))
    }
}

impl<T: TokenStream> TokenStream for Capped<T> {
    fn advance(&mut self) -> bool {
        if !self.0.advance() {
            return false;
        }
        let text = &mut self.0.token_mut().text;
        // A character takes a byte at least.
        if text.len() > TEXT_TOKEN_CHARS_MAX
            && let Some((end, _)) = text.char_indices().nth(TEXT_TOKEN_CHARS_MAX)
        {
            text.truncate(end);
        }
        true
    }

    fn token(&self) -> &Token {
        self.0.token()
    }

    fn token_mut(&mut self) -> &mut Token {
        self.0.token_mut()
    }
}

/// Puts parts of a word in its place, all at the place that it had.
#[derive(Clone)]
struct Grams(Ngrams);

impl TokenFilter for Grams {
    type Tokenizer<T: Tokenizer> = Grammed<T>;

    fn transform<T: Tokenizer>(self, inner: T) -> Grammed<T> {
        Grammed { ngrams: self.0, inner }
    }
}

#[derive(Clone)]
struct Grammed<T> {
    ngrams: Ngrams,
    inner: T,
}

impl<T: Tokenizer> Tokenizer for Grammed<T> {
    type TokenStream<'a> = GramStream<T::TokenStream<'a>>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Self::TokenStream<'a> {
        let ngrams = self.ngrams;
        let inner = self.inner.token_stream(text);
        // Past the end: the first word is asked for at once.
        GramStream { ngrams, inner, starts: Vec::new(), next: (0, 0), token: Token::default() }
    }
}

struct GramStream<T> {
    ngrams: Ngrams,
    inner: T,
    /// Where each character of the word begins, and its end.
    starts: Vec<usize>,
    /// The next part's first character, and how many it has.
    next: (usize, usize),
    token: Token,
}

impl<T: TokenStream> TokenStream for GramStream<T> {
    fn advance(&mut self) -> bool {
        let (least, most) = (usize::from(self.ngrams.min_gram), usize::from(self.ngrams.max_gram));
        loop {
            let (first, length) = self.next;
            let chars = self.starts.len().saturating_sub(1);
            if length <= most && first + length <= chars && length > 0 {
                let word = &self.inner.token().text;
                self.token.text.clear();
                self.token.text.push_str(&word[self.starts[first]..self.starts[first + length]]);
                self.next = (first, length + 1);
                return true;
            }
            if !self.ngrams.prefix_only && first + 1 < chars {
                self.next = (first + 1, least.max(1));
                continue;
            }
            if !self.inner.advance() {
                return false;
            }
            let word = self.inner.token();
            self.token.clone_from(word);
            self.starts.clear();
            self.starts.extend(word.text.char_indices().map(|(at, _)| at));
            self.starts.push(word.text.len());
            self.next = (0, least.max(1));
        }
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}
