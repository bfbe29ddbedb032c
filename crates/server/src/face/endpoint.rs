//! Handlers whose types are forgotten as soon as they are routed.
//!
//! Invariant: what answers is what the handler answers; only the build knows the difference. axum carries a handler's
//! type, and that of all it awaits, through a dozen layers, and the compiler proves of each that it may be sent to another
//! thread: half of the time this crate took to build.
//! Not here: paths and methods (`api`, `pages`).

use crate::state::App;
use axum::extract::Request;
use axum::handler::Handler;
use axum::response::Response;
use std::pin::Pin;
use std::sync::Arc;

type Answer = Pin<Box<dyn Future<Output = Response> + Send>>;

/// A handler of any type.
#[derive(Clone, Copy)]
pub struct Endpoint(&'static (dyn Fn(Request, Arc<App>) -> Answer + Send + Sync));

/// What axum asks for to tell its handlers apart.
#[derive(Debug)]
pub struct Forgotten;

/// Forgets a handler's type. There are as many as there are in the source, so they are never freed.
pub fn endpoint<H, T>(handler: H) -> Endpoint
where
    H: Handler<T, Arc<App>, Future = Answer>,
{
    Endpoint(Box::leak(Box::new(move |request, app| handler.clone().call(request, app))))
}

impl Handler<Forgotten, Arc<App>> for Endpoint {
    type Future = Answer;

    fn call(self, request: Request, app: Arc<App>) -> Answer {
        (self.0)(request, app)
    }
}

/// Documented handlers of one path, as `utoipa_axum::routes` takes them.
macro_rules! routes {
    ($($handler:ident),+) => {{
        $(let $handler = $crate::face::endpoint::endpoint($handler);)+
        utoipa_axum::routes!($($handler),+)
    }};
}
pub(crate) use routes;
