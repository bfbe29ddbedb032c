//! Pages for people: server-rendered HTML on one layout, and the files it needs. Everything is in the binary.
//!
//! Invariant: a page is answered as a [`page::Page`], so none is without the content security policy; nothing is
//! loaded from elsewhere and no page holds a script or a style of its own.
//! Not here: what pages show (the use cases in `app`), the API.

pub(crate) mod access;
mod apply;
pub(crate) mod assets;
mod events;
pub(crate) mod failure;
mod feeds;
pub mod head;
mod linked;
mod links;
pub mod page;
pub mod site;
mod vendors;
mod when;

use crate::face::endpoint::endpoint;
use crate::face::problem::Problem;
use crate::state::App;
use askama::Template;
use axum::Router;
use axum::routing::get;
use head::Head;
use page::{Page, Sheet};
use serde_json::Value;
use std::sync::Arc;

/// The paths of all pages and of their files.
pub(crate) fn routes(document: &Value) -> Router<Arc<App>> {
    Router::new()
        .route("/", get(endpoint(home)))
        .route("/docs", get(endpoint(docs)))
        .route("/openapi.json", get(assets::document(document)))
        .merge(access::routes())
        .merge(assets::routes())
        .merge(apply::routes())
        .merge(events::routes())
        .merge(vendors::routes())
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    head: Head,
}

impl Sheet for Home {
    fn head(&self) -> &Head {
        &self.head
    }
}

async fn home() -> Result<Page, Problem> {
    let words =
        "Open Event keeps events, vendors, sponsors, tasks and budgets, and starts durable workflows.";
    Page::of(&Home { head: Head::titled("Welcome").described(words).narrow() })
}

#[derive(Template)]
#[template(path = "docs.html")]
struct Docs {
    head: Head,
}

impl Sheet for Docs {
    fn head(&self) -> &Head {
        &self.head
    }
}

async fn docs() -> Result<Page, Problem> {
    Page::of(&Docs { head: Head::titled("API reference") })
}
