//! Refusals as pages, for people who came with a browser.
//!
//! Invariant: says the code's words and the request id, never a cause.
//! Not here: the envelope, which everything under `/api` keeps.

use super::head::Head;
use super::page::{Page, Sheet};
use crate::face::problem::{Code, Problem};
use askama::Template;

#[derive(Template)]
#[template(path = "failure.html")]
struct Failure<'a> {
    head: Head,
    status: u16,
    words: &'a str,
    retry_after_s: Option<i64>,
    request_id: &'a str,
}

impl Sheet for Failure<'_> {
    fn head(&self) -> &Head {
        &self.head
    }
}

/// A refusal as a page. `None` when even that cannot be written; the envelope is sent then.
pub(crate) fn page(problem: &Problem, request_id: &str) -> Option<Page> {
    let failure = Failure {
        head: Head::titled(title(problem.code())).hidden().narrow(),
        status: problem.status().as_u16(),
        words: words(problem),
        retry_after_s: problem.retry_after_s(),
        request_id,
    };
    Page::of(&failure).ok().map(|page| page.with_status(problem.status()))
}

fn title(code: Code) -> &'static str {
    match code {
        Code::NotFound => "There is nothing here",
        Code::RateLimitExceeded => "Too many requests",
        Code::InternalError => "Something went wrong",
        Code::ServiceUnavailable => "Not available right now",
        Code::Unauthorized => "Please sign in",
        Code::Forbidden => "This is not allowed",
        other => other.title(),
    }
}

fn words(problem: &Problem) -> &str {
    match problem.code() {
        Code::NotFound => "The page may have moved, or what it showed is not public any more.",
        Code::RateLimitExceeded => "Your address has asked for a lot in a short time.",
        Code::InternalError => "It is our mistake, and it is in our log under the number below.",
        Code::ServiceUnavailable => "The database cannot be reached at the moment. Please try again shortly.",
        _ => problem.message(),
    }
}
