//! What a page says about itself in its `<head>`: title, description, addresses, linked data.
//!
//! Invariant: linked data can never end its `<script>` element, whatever texts are in it.
//! Not here: headers of the answer (see `page`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The head of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Without the name of the site.
    pub title: String,
    /// One sentence for search engines and previews.
    pub description: Option<String>,
    /// The page's one absolute address.
    pub canonical: Option<String>,
    /// The same content in other forms.
    pub alternates: Vec<Alternate>,
    /// The same content for machines.
    pub data: Option<LinkedData>,
    shape: Shape,
    finding: Finding,
}

/// The same content in another form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alternate {
    /// Its content type.
    pub kind: &'static str,
    /// Where it is.
    pub address: String,
    /// What it is called.
    pub title: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Shape {
    #[default]
    Wide,
    Narrow,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Finding {
    #[default]
    Welcome,
    Unwanted,
}

impl Head {
    /// A head with this title.
    pub fn titled(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    /// The same with a description.
    #[must_use]
    pub fn described(mut self, words: impl Into<String>) -> Self {
        self.description = Some(words.into());
        self
    }

    /// The same with the page's absolute address.
    #[must_use]
    pub fn at(mut self, address: impl Into<String>) -> Self {
        self.canonical = Some(address.into());
        self
    }

    /// The same with a link to the content in another form.
    #[must_use]
    pub fn also(mut self, kind: &'static str, address: impl Into<String>, title: impl Into<String>) -> Self {
        self.alternates.push(Alternate { kind, address: address.into(), title: title.into() });
        self
    }

    /// The same with linked data (JSON-LD).
    #[must_use]
    pub fn with_data(mut self, data: &Value) -> Self {
        self.data = Some(LinkedData::of(data));
        self
    }

    /// The same for a page of text or of one form.
    #[must_use]
    pub fn narrow(mut self) -> Self {
        self.shape = Shape::Narrow;
        self
    }

    /// The same for a page that search engines are to leave out.
    #[must_use]
    pub fn hidden(mut self) -> Self {
        self.finding = Finding::Unwanted;
        self
    }

    pub(crate) fn is_narrow(&self) -> bool {
        self.shape == Shape::Narrow
    }

    pub(crate) fn is_hidden(&self) -> bool {
        self.finding == Finding::Unwanted
    }
}

/// JSON that may stand in a `<script>` element as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedData(String);

impl LinkedData {
    fn of(data: &Value) -> Self {
        // `<`, `>` and `&` only ever stand inside texts of JSON, where they may be written as escapes.
        let text = data.to_string();
        Self(text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"))
    }

    /// The text of the element.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// The source that lets a content security policy admit exactly this text.
    pub(crate) fn source(&self) -> String {
        format!("'sha256-{}'", STANDARD.encode(Sha256::digest(self.0.as_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn linked_data_stays_inside_its_element_and_says_the_same() {
        let hostile = json!({"name": "</script><script>alert(1)</script><!-- & ' \" \u{2028}"});
        let data = LinkedData::of(&hostile);
        assert!(!data.text().contains(['<', '>', '&']), "{}", data.text());
        assert_eq!(serde_json::from_str::<Value>(data.text()).unwrap(), hostile);
    }

    #[test]
    fn the_policy_names_the_hash_of_the_text() {
        // printf '{}' | openssl dgst -sha256 -binary | base64
        let source = LinkedData::of(&json!({})).source();
        assert_eq!(source, "'sha256-RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o='");
    }
}
