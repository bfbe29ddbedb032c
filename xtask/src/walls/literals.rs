//! Finds the string literals of a Rust file, with their lines; comments and char literals are skipped.
//!
//! Invariant: never panics on any text; a file that does not lex ends early.
//! Deliberately not here: a parser. The text after the first `#[cfg(test)]` is simply not looked at.

/// One string literal, without its quotes, escapes as written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Literal {
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// Every string literal before the test module.
pub(crate) fn before_tests(source: &str) -> Vec<Literal> {
    let end = source.find("#[cfg(test)]").unwrap_or(source.len());
    Lexer { rest: &source[..end], line: 1, found: Vec::new() }.run()
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    found: Vec<Literal>,
}

impl Lexer<'_> {
    fn run(mut self) -> Vec<Literal> {
        let mut after_word = false;
        while let Some(next) = self.rest.chars().next() {
            let raw = if after_word { None } else { raw_hashes(self.rest) };
            after_word = next.is_alphanumeric() || next == '_';
            if self.rest.starts_with("//") {
                self.skip(self.rest.find('\n').unwrap_or(self.rest.len()));
            } else if self.rest.starts_with("/*") {
                self.skip(block_comment(self.rest));
            } else if let Some((start, hashes)) = raw {
                self.skip(start);
                self.take(self.rest.find(&format!("\"{hashes}")), hashes.len() + 1);
            } else if next == '"' {
                self.skip(1);
                self.take(closing_quote(self.rest), 1);
            } else if next == '\'' {
                self.skip(quote(self.rest));
            } else {
                self.skip(next.len_utf8());
            }
        }
        self.found
    }

    /// Records the text up to `end` as a literal and skips it with its closing quote.
    fn take(&mut self, end: Option<usize>, closing: usize) {
        let end = end.unwrap_or(self.rest.len());
        self.found.push(Literal { line: self.line, text: self.rest[..end].to_owned() });
        self.skip((end + closing).min(self.rest.len()));
    }

    fn skip(&mut self, bytes: usize) {
        let (gone, rest) = self.rest.split_at(bytes);
        self.line += gone.matches('\n').count();
        self.rest = rest;
    }
}

/// For text that begins a raw string (`r"`, `br##"`, `cr#"`): bytes up to its content, and its hashes.
fn raw_hashes(text: &str) -> Option<(usize, String)> {
    let body =
        text.strip_prefix("br").or_else(|| text.strip_prefix("cr")).or_else(|| text.strip_prefix('r'))?;
    let hashes: String = body.chars().take_while(|one| *one == '#').collect();
    body[hashes.len()..].starts_with('"').then(|| (text.len() - body.len() + hashes.len() + 1, hashes))
}

/// Bytes of a block comment; they nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, one) in text.char_indices() {
        match one {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at),
            _ => {}
        }
    }
    None
}

/// Bytes of a char literal, or 1 for the mark of a lifetime.
fn quote(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some((at, escaped))) => {
            let from = at + escaped.len_utf8();
            text[from..].find('\'').map_or(text.len(), |end| from + end + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<String> {
        before_tests(source).into_iter().map(|literal| literal.text).collect()
    }

    #[test]
    fn plain_raw_and_byte_strings_are_found() {
        let source = "let a = \"one \\\" more\"; let b = r#\"two \"x\" \"#; c(b\"three\", br\"four\");";
        assert_eq!(texts(source), ["one \\\" more", "two \"x\" ", "three", "four"]);
    }

    #[test]
    fn comments_chars_and_lifetimes_are_skipped() {
        let source = "/// \"doc\"\nfn a<'a>(x: &'a str) { '\"'; '\\''; 'é'; /* \"b /* \" */ */ \"yes\" }";
        let found = before_tests(source);
        assert_eq!(found, [Literal { line: 2, text: "yes".to_owned() }]);
    }

    #[test]
    fn a_word_that_ends_in_r_does_not_begin_a_raw_string() {
        assert_eq!(texts("for\"a\" + var\"b\""), ["a", "b"]);
    }

    #[test]
    fn the_test_module_is_not_looked_at() {
        assert_eq!(texts("\"a\"\n#[cfg(test)]\nmod tests { \"b\" }"), ["a"]);
    }

    #[test]
    fn text_that_does_not_lex_ends_quietly() {
        for source in ["\"open", "r#\"open", "/* open", "'\\", "'", "b'\\u{1"] {
            before_tests(source);
        }
    }
}
