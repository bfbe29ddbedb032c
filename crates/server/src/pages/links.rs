//! Links that keep a list's filters.
//!
//! Invariant: only parameters the list knows are kept; everything is encoded.
//! Not here: what the filters mean.

use crate::face::params::Params;
use url::form_urlencoded::Serializer;

/// A path with the given parameters of a request and one more.
pub(super) fn keeping(path: &str, params: &Params, kept: &[&str], more: Option<(&str, &str)>) -> String {
    let mut query = Serializer::new(String::new());
    for name in kept {
        if let Some(value) = params.get(name) {
            query.append_pair(name, value);
        }
    }
    if let Some((name, value)) = more {
        query.append_pair(name, value);
    }
    match query.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

/// One of several values in a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// What is sent.
    pub(super) value: String,
    /// What is read.
    pub(super) text: String,
    /// Whether it is what was asked for.
    pub(super) is_chosen: bool,
}

/// The choices of a filter. What was asked for is one of them, also when nobody offers it.
pub(super) fn choices<'a>(all: impl IntoIterator<Item = &'a str>, asked: Option<&str>) -> Vec<Choice> {
    let choice = |value: &str| Choice {
        value: value.to_owned(),
        text: spoken(value),
        is_chosen: asked == Some(value),
    };
    let mut choices: Vec<_> = all.into_iter().map(choice).collect();
    if let Some(asked) = asked.filter(|_| !choices.iter().any(|one| one.is_chosen)) {
        choices.push(choice(asked));
    }
    choices
}

/// A word of the API as people write it: `in-person` is `In person`.
pub(super) fn spoken(word: &str) -> String {
    let text = word.replace(['-', '_'], " ");
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// The beginning of a text, cut between words.
pub(super) fn beginning(text: &str, chars_max: usize) -> String {
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let Some((end, _)) = text.char_indices().nth(chars_max) else { return text };
    let cut = &text[..end];
    let cut = cut.rsplit_once(' ').map_or(cut, |(words, _)| words);
    format!("{} …", cut.trim_end_matches([',', ';', ':', '.', ' ']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_kept_and_encoded() {
        let params = Params::of("search=a%26b%20c&cursor=x&other=1&page=");
        let link = keeping("/events", &params, &["search", "page"], Some(("cursor", "n=")));
        assert_eq!(link, "/events?search=a%26b+c&cursor=n%3D");
        assert_eq!(keeping("/events", &Params::default(), &["search"], None), "/events");
    }

    #[test]
    fn what_was_asked_for_is_a_choice() {
        let all = choices(["in-person", "virtual"], Some("moon"));
        let read: Vec<_> = all.iter().map(|one| (one.text.as_str(), one.is_chosen)).collect();
        assert_eq!(read, [("In person", false), ("Virtual", false), ("Moon", true)]);
    }

    #[test]
    fn a_text_is_cut_between_words_whatever_its_letters() {
        assert_eq!(beginning("one  two\nthree", 100), "one two three");
        assert_eq!(beginning("one two, three", 9), "one two …");
        assert_eq!(beginning("ääääää", 3), "äää …");
    }
}
