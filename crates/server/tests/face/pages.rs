//! Pages: their headers, their files, and refusals for people with a browser.

use crate::support::{code, fresh};

const BROWSER: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");

/// Values of an attribute in a page.
fn values<'a>(html: &'a str, attribute: &str) -> Vec<&'a str> {
    let begin = format!(" {attribute}=\"");
    html.split(begin.as_str()).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[tokio::test]
async fn pages_load_nothing_from_elsewhere_and_hold_no_code_of_their_own() {
    let (_place, server) = fresh().await;
    for path in ["/", "/docs"] {
        let reply = server.get(path, &[BROWSER]).await;
        let kind = reply.header("content-type");
        assert_eq!((reply.status, kind), (200, Some("text/html; charset=utf-8")), "{path}");
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"), "{policy}");
        assert!(!policy.contains("unsafe") && reply.header("x-content-type-options") == Some("nosniff"));
        let html = reply.text();
        for word in ["src=\"http", "href=\"http", "//cdn", "<style", " style=\"", " onclick=\"", "<script>"] {
            assert!(!html.contains(word), "{path} holds {word}");
        }
        let tag = reply.header("etag").unwrap();
        assert_eq!(server.get(path, &[("if-none-match", tag)]).await.status, 304, "{path}");
    }
}

#[tokio::test]
async fn files_have_the_hash_of_their_bytes_in_their_path_and_may_be_kept() {
    let (_place, server) = fresh().await;
    let mut paths = Vec::new();
    for page in ["/", "/docs"] {
        let html = server.get(page, &[BROWSER]).await.text();
        let all = values(&html, "href").into_iter().chain(values(&html, "src"));
        paths.extend(all.filter(|path| path.starts_with("/assets/")).map(str::to_owned));
    }
    assert_eq!(paths.len(), 5, "two marks, two styles, a script: {paths:?}");
    for path in paths {
        let reply = server.get(&path, &[]).await;
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(reply.header("cache-control"), Some("public, max-age=31536000, immutable"));
        assert!(path.contains(reply.header("etag").unwrap().trim_matches('"')), "{path}");
        assert!(!reply.text().contains("innerHTML") && !reply.text().contains("url(http"), "{path}");
    }
    assert_eq!(server.get("/assets/0000/pages.css", &[]).await.status, 404);
}

#[tokio::test]
async fn people_get_refusals_as_pages_and_programs_as_envelopes() {
    let (_place, server) = fresh().await;
    let page = server.get("/nothing/%3Cb%3E", &[BROWSER]).await;
    assert_eq!((page.status, page.header("content-type")), (404, Some("text/html; charset=utf-8")));
    assert!(page.header("content-security-policy").is_some() && page.header("etag").is_none());
    let html = page.text();
    assert!(html.contains("There is nothing here") && html.contains(page.header("x-request-id").unwrap()));
    assert!(!html.contains("<b>"), "{html}");
    assert_eq!(code(&server.get("/nothing", &[]).await), "NOT_FOUND");
    for path in ["/api/v1/public/nothing", "/api/nothing", "/bench/nothing", "/assets/nothing"] {
        assert!(!code(&server.get(path, &[BROWSER]).await).is_empty(), "{path}");
    }
    let wrong = server.send("POST", "/docs", &[BROWSER], "").await;
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("GET,HEAD")));
    let problem = [("accept", "application/problem+json, text/html")];
    assert_eq!(
        server.get("/nothing", &problem).await.header("content-type"),
        Some("application/problem+json")
    );
}
