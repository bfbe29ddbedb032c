//! Full-text search that finds the same on every database: text becomes tokens here, and databases only compare them.
//!
//! Invariant: a token is ASCII letters and digits, beginning with a letter, so no database's own ideas about words,
//! accents or case are asked. Every visible character of a query counts: `%` and `_` are characters like others.
//! Not here: the databases' query syntax.

use std::fmt::Write as _;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Characters of a query that are looked at.
pub const QUERY_CHARS_MAX: usize = 200;
/// Words of a query that are looked at.
const TERMS_MAX: usize = 12;
/// Bytes of one token; what two longer words have in common is enough to find them.
const TOKEN_BYTES_MAX: usize = 200;
/// Characters of a sort key.
const SORT_CHARS_MAX: usize = 100;

/// The words that were asked for. Each has to be found; the last letters of each may be missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query(Vec<Vec<String>>);

impl Query {
    /// Reads a query; `None` when there is nothing to look for.
    pub fn parse(text: &str) -> Option<Self> {
        let text: String = text.chars().take(QUERY_CHARS_MAX).collect();
        let terms: Vec<_> =
            text.split_whitespace().map(tokens).filter(|term| !term.is_empty()).take(TERMS_MAX).collect();
        (!terms.is_empty()).then_some(Self(terms))
    }

    /// The terms, each a sequence of tokens that follow each other; the last token may go on.
    pub fn terms(&self) -> &[Vec<String>] {
        &self.0
    }
}

/// What a text is sorted by: case and accents do not matter, and every database agrees on the order of the bytes.
pub fn sort_key(text: &str) -> String {
    folded(text).take(SORT_CHARS_MAX).collect()
}

fn folded(text: &str) -> impl Iterator<Item = char> {
    text.nfkd().flat_map(char::to_lowercase).nfkd().filter(|c| !is_combining_mark(*c))
}

/// The tokens of a text, with a space between them: what is stored to be searched.
pub fn searchable(text: &str) -> String {
    tokens(text).join(" ")
}

fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut word = String::new();
    for c in folded(text) {
        if c.is_alphanumeric() && !is_ideograph(c) {
            if word.len() < TOKEN_BYTES_MAX {
                push(&mut word, c);
            }
            continue;
        }
        end(&mut word, &mut tokens);
        if !c.is_whitespace() && !c.is_control() {
            // One that cannot be continued: `q` is no hexadecimal digit.
            tokens.push(format!("s{:x}q", u32::from(c)));
        }
    }
    end(&mut word, &mut tokens);
    tokens
}

fn end(word: &mut String, tokens: &mut Vec<String>) {
    if !word.is_empty() {
        tokens.push(format!("w{word}"));
        word.clear();
    }
}

/// A letter without its accents; one that has no ASCII form is written as six characters, so that the beginning
/// of a word stays the beginning of its token.
fn push(word: &mut String, c: char) {
    match c {
        'ß' => word.push_str("ss"),
        'æ' => word.push_str("ae"),
        'œ' => word.push_str("oe"),
        'þ' => word.push_str("th"),
        'ø' => word.push('o'),
        'ł' => word.push('l'),
        'đ' | 'ð' => word.push('d'),
        'ı' => word.push('i'),
        c if c.is_ascii() => word.push(c),
        c => {
            let _ = write!(word, "z{:05x}", u32::from(c));
        }
    }
}

/// Writing without spaces: every character is a word.
fn is_ideograph(c: char) -> bool {
    matches!(u32::from(c), 0x2e80..=0x2fdf | 0x3005..=0x30ff | 0x3400..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x3ffff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a database does: every term's tokens follow each other somewhere, the last one perhaps going on.
    fn finds(query: &str, text: &str) -> bool {
        let text = tokens(text);
        Query::parse(query).is_none_or(|query| {
            query.terms().iter().all(|term| {
                let (last, first) = term.split_last().unwrap();
                text.windows(term.len())
                    .any(|window| window.starts_with(first) && window[first.len()].starts_with(last.as_str()))
            })
        })
    }

    #[test]
    fn case_and_accents_do_not_matter() {
        for (query, text) in [
            ("grosse", "Größe"),
            ("CAFÉ", "cafe"),
            ("orebro", "Örebro"),
            ("мос", "Москва"),
            ("京", "東京都"),
            ("conf 2025", "Tech Conference, 2025"),
            ("Łódź", "lodz"),
        ] {
            assert!(finds(query, text), "{query} in {text}: {:?} {:?}", tokens(query), tokens(text));
        }
    }

    #[test]
    fn signs_are_looked_for_as_they_are() {
        assert!(finds("100%", "now 100% vegan") && !finds("100%", "now 100 guests"));
        assert!(finds("a_b", "an a_b test") && !finds("a_b", "axb") && !finds("%", "anything"));
        assert!(finds("%", "5%") && !finds("_", "5%"));
        assert!(!finds("ference", "conference"), "words are found by their beginning");
        assert_eq!(Query::parse(" \u{301} \t"), None);
    }

    proptest! {
        #[test]
        fn a_text_is_found_by_each_of_its_words_and_their_beginnings(text in "\\PC{1,40}", cut in 1..8_usize) {
            for word in text.split_whitespace() {
                let beginning: String = word.chars().take(cut).collect();
                prop_assert!(finds(word, &text), "{word:?}");
                let is_plain = beginning.chars().all(|c| c.is_ascii_alphanumeric());
                prop_assert!(!is_plain || finds(&beginning, &text), "{beginning:?}");
            }
            prop_assert!(tokens(&text).iter().all(|token| token.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())));
        }
    }
}
