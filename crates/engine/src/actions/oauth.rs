//! Tokens of authorization servers: asked for once, kept until shortly before they expire.
//!
//! Invariant: for one tenant and one policy one request for a token is under way at a time; a token is kept in memory
//! only, and never given to another tenant.
//! Not here: putting a token into a request (`authentication`).

use super::http::{USER_AGENT, base64};
use super::{Outside, fault, jwt};
use openevent_domain::ambient::Millis;
use openevent_domain::api_key::hex;
use openevent_domain::tenant::Tenant;
use openevent_egress::{Client, OverLimit, Request, Response};
use openevent_flow::{
    Authority, Client as OAuthClient, ClientAuthentication, Encoding, Fault, FaultKind, OAuth2,
};
use parking_lot::Mutex;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::sync::Arc;
use url::form_urlencoded;

/// How long before its end a token is not used any more.
const MARGIN_MS: i64 = 30_000;
/// How long a token is kept whose server does not say how long it holds.
const UNKNOWN_MS: i64 = 60_000;
/// The longest a token is kept.
const KEPT_MS_MAX: i64 = 24 * 3_600_000;
/// Policies whose tokens are kept.
const POLICIES_MAX: usize = 1_000;
/// Bytes of an authorization server's answer.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// How long an assertion of ours holds.
const ASSERTION_S: i64 = 300;
const BEARER_ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// When a token was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Before; it was kept.
    Before,
    /// For this call.
    Now,
}

/// The tokens there are.
#[derive(Debug, Default)]
pub(crate) struct Tokens(Mutex<HashMap<[u8; 32], Arc<Slot>>>);

/// One policy's token. Held while one is asked for, so that all who need it wait for the same.
type Slot = tokio::sync::Mutex<Option<Held>>;

#[derive(Clone, Debug)]
struct Held {
    access: SecretString,
    refresh: Option<SecretString>,
    expires_at: Millis,
}

impl Tokens {
    fn slot(&self, tenant: &Tenant, policy: &OAuth2) -> Arc<Slot> {
        let text = json!([tenant.as_str(), policy]).to_string();
        let key: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        let mut slots = self.0.lock();
        if slots.len() >= POLICIES_MAX && !slots.contains_key(&key) {
            // Those in use are held by their users as well.
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(slots.entry(key).or_default())
    }
}

impl Outside {
    /// A token of this policy. `refused` is one that did not work; it is not given again.
    pub(super) async fn token(
        &self,
        client: &Client,
        tenant: &Tenant,
        policy: &OAuth2,
        refused: Option<&SecretString>,
    ) -> Result<(SecretString, Asked), Fault> {
        let slot = self.tokens.slot(tenant, policy);
        let mut held = slot.lock().await;
        let is_refused =
            |held: &Held| refused.is_some_and(|bad| bad.expose_secret() == held.access.expose_secret());
        if let Some(token) = held.as_ref()
            && token.expires_at > self.clock.now()
            && !is_refused(token)
        {
            return Ok((token.access.clone(), Asked::Before));
        }
        let refresh = held.take().and_then(|held| held.refresh);
        let endpoint = self.token_endpoint(client, policy).await?;
        let fresh = match refresh {
            Some(refresh) => {
                let again = OAuth2 {
                    grant: "refresh_token".to_owned(),
                    subject: None,
                    actor: None,
                    ..policy.clone()
                };
                match self.ask(client, &endpoint, &again, Some(&refresh)).await {
                    Ok(fresh) => fresh,
                    Err(_) => self.ask(client, &endpoint, policy, None).await?,
                }
            }
            None => self.ask(client, &endpoint, policy, None).await?,
        };
        let access = fresh.access.clone();
        *held = Some(fresh);
        Ok((access, Asked::Now))
    }

    async fn token_endpoint(&self, client: &Client, policy: &OAuth2) -> Result<String, Fault> {
        let provider = match &policy.authority {
            Authority::Token(endpoint) => return Ok(endpoint.clone()),
            Authority::Discovery(provider) => provider,
        };
        let address = if provider.contains("/.well-known/") {
            provider.clone()
        } else {
            format!("{}{WELL_KNOWN}", provider.trim_end_matches('/'))
        };
        let request = request(http_get(), address, self.settings.call_deadline);
        let response = client.send(request).await.map_err(|cause| fault(&cause))?;
        let found = json_of(&response);
        match found.get("token_endpoint").and_then(Value::as_str) {
            Some(endpoint) if response.status == 200 => Ok(endpoint.to_owned()),
            _ => {
                let detail = format!(
                    "the provider's configuration cannot be read: it answered with status {}",
                    response.status
                );
                Err(Fault::new(FaultKind::Communication, detail))
            }
        }
    }

    async fn ask(
        &self,
        client: &Client,
        endpoint: &str,
        policy: &OAuth2,
        refresh: Option<&SecretString>,
    ) -> Result<Held, Fault> {
        let mut fields = fields(policy, refresh)?;
        let mut request = request(http::Method::POST, endpoint.to_owned(), self.settings.call_deadline);
        self.identify(&policy.client, endpoint, &mut fields, &mut request)?;
        let (media, body) = match policy.encoding {
            Encoding::Form => ("application/x-www-form-urlencoded", form(&fields)),
            Encoding::Json => ("application/json", object(&fields).to_string()),
        };
        request.headers.push(("content-type".to_owned(), media.to_owned()));
        request.body = body.into();
        let response = client.send(request).await.map_err(|cause| fault(&cause))?;
        let answer = json_of(&response);
        if !(200..300).contains(&response.status) {
            return Err(refusal(response.status, &answer));
        }
        self.held(&answer, policy)
    }

    /// Says who the client is, in the way the policy asks for.
    fn identify(
        &self,
        client: &OAuthClient,
        endpoint: &str,
        fields: &mut Vec<(&'static str, String)>,
        request: &mut Request,
    ) -> Result<(), Fault> {
        let lacks = |what: &str| Fault::new(FaultKind::Configuration, format!("the client has no {what}"));
        let id = client.id.as_deref();
        match client.authentication {
            ClientAuthentication::ClientSecretBasic => {
                let id = id.ok_or_else(|| lacks("id"))?;
                let secret = client.secret.as_deref().ok_or_else(|| lacks("secret"))?;
                let encode =
                    |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                let pair = base64(format!("{}:{}", encode(id), encode(secret)).as_bytes());
                request.headers.push(("authorization".to_owned(), format!("Basic {pair}")));
            }
            ClientAuthentication::ClientSecretPost => {
                fields.extend(id.map(|id| ("client_id", id.to_owned())));
                fields.extend(client.secret.clone().map(|secret| ("client_secret", secret)));
            }
            ClientAuthentication::ClientSecretJwt => {
                let id = id.ok_or_else(|| lacks("id"))?;
                let secret = client.secret.as_deref().ok_or_else(|| lacks("secret"))?;
                let assertion = self.assertion(id, secret, endpoint);
                fields.push(("client_id", id.to_owned()));
                fields.push(("client_assertion_type", BEARER_ASSERTION.to_owned()));
                fields.push(("client_assertion", assertion));
            }
            ClientAuthentication::PrivateKeyJwt => {
                let assertion = client.assertion.clone().ok_or_else(|| lacks("assertion"))?;
                fields.extend(id.map(|id| ("client_id", id.to_owned())));
                fields.push(("client_assertion_type", BEARER_ASSERTION.to_owned()));
                fields.push(("client_assertion", assertion));
            }
            ClientAuthentication::None => fields.extend(id.map(|id| ("client_id", id.to_owned()))),
        }
        Ok(())
    }

    fn assertion(&self, id: &str, secret: &str, endpoint: &str) -> String {
        let mut unique = [0; 16];
        self.chance.fill(&mut unique);
        let now_s = self.clock.now() / 1_000;
        let claims = json!({
            "iss": id, "sub": id, "aud": endpoint, "jti": hex(&unique), "iat": now_s, "exp": now_s + ASSERTION_S,
        });
        jwt::sign(&claims, secret)
    }

    fn held(&self, answer: &Value, policy: &OAuth2) -> Result<Held, Fault> {
        let refused = |detail: &str| Fault::new(FaultKind::Authentication, detail);
        let text = |name: &str| answer.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let access = text("access_token").ok_or_else(|| refused("the authorization server gave no token"))?;
        if let Some(issuer) = jwt::issuer(access)
            && !policy.issuers.is_empty()
            && !policy.issuers.contains(&issuer)
        {
            return Err(refused("the token was issued by nobody the policy names"));
        }
        // Some servers write the number as text.
        let seconds = answer
            .get("expires_in")
            .and_then(|given| given.as_f64().or_else(|| given.as_str().and_then(|text| text.parse().ok())));
        let holds_ms = seconds.map_or(UNKNOWN_MS, |seconds| (seconds * 1_000.0) as i64 - MARGIN_MS);
        Ok(Held {
            access: access.into(),
            refresh: text("refresh_token").map(SecretString::from),
            expires_at: self.clock.now() + holds_ms.clamp(0, KEPT_MS_MAX),
        })
    }
}

fn http_get() -> http::Method {
    http::Method::GET
}

fn request(method: http::Method, address: String, deadline: std::time::Duration) -> Request {
    let mut request = Request::new(method, address);
    request.headers = vec![
        ("accept".to_owned(), "application/json".to_owned()),
        ("user-agent".to_owned(), USER_AGENT.to_owned()),
    ];
    request.deadline = deadline;
    request.body_over_limit = OverLimit::Fail;
    request.response_bytes_max = Some(ANSWER_BYTES_MAX);
    request
}

/// The members of a request for a token.
fn fields(policy: &OAuth2, refresh: Option<&SecretString>) -> Result<Vec<(&'static str, String)>, Fault> {
    let lacks = |what: &str| {
        Fault::new(FaultKind::Configuration, format!("the grant `{}` needs {what}", policy.grant))
    };
    let subject = || policy.subject.as_ref().ok_or_else(|| lacks("a subject"));
    let mut fields = vec![("grant_type", policy.grant.clone())];
    if !policy.scopes.is_empty() {
        fields.push(("scope", policy.scopes.join(" ")));
    }
    fields.extend(policy.audiences.iter().map(|audience| ("audience", audience.clone())));
    match policy.grant.as_str() {
        "password" => {
            fields.push(("username", policy.username.clone().ok_or_else(|| lacks("a username"))?));
            fields.push(("password", policy.password.clone().ok_or_else(|| lacks("a password"))?));
        }
        "refresh_token" => {
            let token = match refresh {
                Some(refresh) => refresh.expose_secret().to_owned(),
                None => subject()?.token.clone(),
            };
            fields.push(("refresh_token", token));
        }
        "authorization_code" => fields.push(("code", subject()?.token.clone())),
        TOKEN_EXCHANGE => {
            let subject = subject()?;
            fields.push(("subject_token", subject.token.clone()));
            fields.push(("subject_token_type", subject.kind.clone()));
            if let Some(actor) = &policy.actor {
                fields.push(("actor_token", actor.token.clone()));
                fields.push(("actor_token_type", actor.kind.clone()));
            }
        }
        _ => {}
    }
    Ok(fields)
}

fn form(fields: &[(&'static str, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// The same as an object; what is there several times becomes a list.
fn object(fields: &[(&'static str, String)]) -> Value {
    let mut object = Map::new();
    for (name, text) in fields {
        match object.get_mut(*name) {
            None => drop(object.insert((*name).to_owned(), text.as_str().into())),
            Some(Value::Array(list)) => list.push(text.as_str().into()),
            Some(one) => *one = json!([one.take(), text]),
        }
    }
    object.into()
}

fn json_of(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap_or_default()
}

/// A refusal in the language's words (RFC 6749, section 5.2). The server's own are repeated as far as they are a code.
fn refusal(status: u16, answer: &Value) -> Fault {
    let code = answer.get("error").and_then(Value::as_str).unwrap_or_default();
    let code: String = code.chars().filter(char::is_ascii_graphic).take(60).collect();
    let detail = if code.is_empty() {
        format!("the authorization server answered with status {status}")
    } else {
        format!("the authorization server refused with status {status}: {code}")
    };
    let kind = match (status, code.as_str()) {
        (_, "unauthorized_client" | "access_denied" | "invalid_scope" | "invalid_target") | (403, _) => {
            FaultKind::Authorization
        }
        (400..=499, _) => FaultKind::Authentication,
        _ => FaultKind::Communication,
    };
    let fault = Fault::new(kind, detail);
    if kind == FaultKind::Communication { fault.with_status(status) } else { fault }
}
