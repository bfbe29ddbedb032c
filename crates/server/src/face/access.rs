//! What a path asks of a caller before it is routed.
//!
//! Invariant: decided from the path alone, so that an unknown path under `/api/v1` asks for a credential first
//! and tells a stranger nothing about which paths exist.
//! Not here: scopes; each endpoint names its own.

use http::Method;

/// What a path asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A credential; the call counts against it.
    Credential,
    /// No credential; the call counts against the client's address.
    Open,
    /// A signature, which the endpoint checks; what it refuses counts against the client's address.
    Signed,
    /// Neither: health, metrics, documents and pages.
    Free,
}

/// What this path asks for.
pub fn of(path: &str) -> Access {
    if let Some(rest) = path.strip_prefix("/api/v1") {
        return match rest {
            "" | "/" | "/webhooks/events" => Access::Open,
            _ if rest.starts_with("/hooks/") => Access::Signed,
            _ if rest == "/public" || rest.starts_with("/public/") => Access::Open,
            _ if rest.starts_with('/') => Access::Credential,
            _ => Access::Open,
        };
    }
    if path.starts_with("/bench/") {
        return Access::Credential;
    }
    let is_open = path.starts_with("/api/") && path != "/api/health";
    if is_open || is_public_page(path) { Access::Open } else { Access::Free }
}

/// Pages and feeds that read what the public may see.
fn is_public_page(path: &str) -> bool {
    let roots = ["/events", "/vendors", "/applications"];
    let rest = roots.into_iter().find_map(|root| path.strip_prefix(root));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '.']))
}

/// Whether people come here with a browser: refusals are pages then, if the browser takes pages.
pub fn is_page(path: &str) -> bool {
    let is_under =
        |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    !["/api", "/bench", "/health", "/metrics", "/openapi.json", "/assets"].into_iter().any(is_under)
}

/// Whether a call without a credential leaves something here: such calls have a stricter limit of their own.
pub fn is_intake(method: &Method, path: &str) -> bool {
    method == Method::POST && (path.starts_with("/api/v1/public/") || is_public_page(path))
}

/// Whether scripts of other origins may call this path.
pub fn is_cross_origin(path: &str) -> bool {
    path.starts_with("/api/") || matches!(path, "/health" | "/openapi.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_programs_call_is_no_page() {
        for path in ["/api", "/api/v1/nothing", "/health", "/metrics", "/openapi.json", "/bench/ack"] {
            assert!(!is_page(path), "{path}");
        }
        for path in ["/", "/docs", "/nothing", "/apiary", "/healthy"] {
            assert!(is_page(path), "{path}");
        }
    }

    #[test]
    fn only_what_is_left_here_without_a_credential_is_an_intake() {
        assert!(is_intake(&Method::POST, "/api/v1/public/applications/vendor"));
        assert!(is_intake(&Method::POST, "/api/v1/public/events/x/applications"));
        assert!(!is_intake(&Method::GET, "/api/v1/public/applications/x"));
        assert!(!is_intake(&Method::POST, "/api/v1/events"));
    }

    #[test]
    fn a_path_is_classed_by_its_prefix() {
        for path in ["/api/v1/events", "/api/v1/nothing", "/api/v1/publicity", "/bench/ack"] {
            assert_eq!(of(path), Access::Credential, "{path}");
        }
        for path in [
            "/api/v1",
            "/api/v1/webhooks/events",
            "/api/v1/public/events",
            "/api/v2",
            "/api/v10/x",
            "/events",
            "/events.ics",
            "/vendors/x",
        ] {
            assert_eq!(of(path), Access::Open, "{path}");
        }
        assert_eq!(of("/api/v1/hooks/stripe"), Access::Signed);
        for path in ["/", "/health", "/api/health", "/metrics", "/docs", "/nothing", "/eventsource"] {
            assert_eq!(of(path), Access::Free, "{path}");
        }
    }
}
