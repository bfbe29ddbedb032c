//! People with browsers: the first admin, others they make, and requests with a session's cookie.
//!
//! Invariant: a browser sends what a browser would: the cookie always, and with changes where they come from.
//! Not here: assertions about behaviour.

use crate::bed::{Bed, JSON};
use openevent_server::app::setup;
use openevent_testkit::Reply;
use serde_json::{Value, json};
use url::form_urlencoded;

/// Where a change comes from, as a browser of today says it.
pub(crate) const HERE: (&str, &str) = ("sec-fetch-site", "same-origin");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
/// Everybody's password.
pub(crate) const PASSWORD: &str = "correct horse battery";
/// The first admin.
pub(crate) const ADMIN: &str = "ada@example.org";

/// A form's body.
pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// Sends a form of somebody who is not signed in.
pub(crate) async fn post_form(bed: &Bed, path: &str, fields: &[(&str, &str)]) -> Reply {
    bed.send("POST", path, &[FORM, HERE], form(fields)).await
}

/// The cookie that an answer sets.
pub(crate) fn cookie_of(reply: &Reply) -> String {
    let cookie = reply.header("set-cookie").unwrap_or_else(|| panic!("no cookie: {}", reply.text()));
    cookie.split(';').next().expect("a pair").to_owned()
}

/// Somebody who is signed in.
pub(crate) struct Person<'a> {
    pub(crate) bed: &'a Bed,
    pub(crate) cookie: String,
    pub(crate) csrf: String,
}

/// The first admin, made through the link.
pub(crate) async fn admin(bed: &Bed) -> Person<'_> {
    let path = setup::offer(&bed.app).await.expect("the store answers").expect("there is no admin yet");
    let reply = post_form(bed, &path, &[("email", ADMIN), ("password", PASSWORD)]).await;
    assert_eq!(reply.status, 303, "{}", reply.text());
    Person::with(bed, cookie_of(&reply)).await
}

/// Tries to sign in.
pub(crate) async fn sign_in(bed: &Bed, email: &str, password: &str) -> Reply {
    post_form(bed, "/sign-in", &[("email", email), ("password", password)]).await
}

impl<'a> Person<'a> {
    /// Whose cookie this is.
    pub(crate) async fn with(bed: &'a Bed, cookie: String) -> Self {
        let reply = bed.send("GET", "/api/v1/me", &[("cookie", &cookie)], "").await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let csrf = reply.json()["data"]["csrfToken"].as_str().expect("a token").to_owned();
        Self { bed, cookie, csrf }
    }

    /// Somebody who signs in with the usual password.
    pub(crate) async fn signed_in(bed: &'a Bed, email: &str) -> Self {
        let reply = sign_in(bed, email, PASSWORD).await;
        assert_eq!(reply.status, 303, "{}", reply.text());
        Self::with(bed, cookie_of(&reply)).await
    }

    /// Calls the API as a page of ours would.
    pub(crate) async fn call(&self, method: &str, path: &str, body: &Value) -> Reply {
        self.call_in("", method, path, body).await
    }

    /// The same in a project.
    pub(crate) async fn call_in(&self, project: &str, method: &str, path: &str, body: &Value) -> Reply {
        let headers = [
            ("cookie", self.cookie.as_str()),
            ("x-csrf-token", &self.csrf),
            ("openevent-project", project),
            HERE,
            JSON,
        ];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.bed.send(method, path, &headers, body).await
    }

    /// Reads from the API.
    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.bed.send("GET", path, &[("cookie", &self.cookie)], "").await
    }

    /// Sends a form of theirs.
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let fields = [fields, &[("csrf", self.csrf.as_str())]].concat();
        self.bed.send("POST", path, &[("cookie", &self.cookie), FORM, HERE], form(&fields)).await
    }

    /// Makes an account with the usual password; answers its id.
    pub(crate) async fn make(&self, email: &str, is_admin: bool) -> String {
        let body = json!({"email": email, "password": PASSWORD, "isAdmin": is_admin});
        let reply = self.call("POST", "/api/v1/users", &body).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        reply.json()["data"]["id"].as_str().expect("an id").to_owned()
    }

    /// Makes an account and its person a member of a project; they are signed in.
    pub(crate) async fn member(&self, email: &str, project: &str, role: &str) -> Person<'a> {
        self.make(email, false).await;
        let path = format!("/api/v1/projects/{project}/members");
        let reply = self.call("POST", &path, &json!({"email": email, "role": role})).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        Person::signed_in(self.bed, email).await
    }
}
