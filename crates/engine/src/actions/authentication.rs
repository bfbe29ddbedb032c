//! Proving who calls: basic, bearer, digest, and tokens of OAuth 2.0 and OpenID Connect.
//!
//! Invariant: a credential is put into the request it is for and nowhere else; what is told of it to the run
//! (`$authorization`) holds no more than the run knew before.
//! Not here: getting tokens (`oauth`), the arithmetic of digest (`digest`).

use super::digest::{Answering, Challenge};
use super::http::base64;
use super::oauth::Asked;
use super::veil::{MASK, Veil};
use super::{Outside, fault};
use openevent_domain::api_key::hex;
use openevent_domain::tenant::Tenant;
use openevent_egress::{Client, Request, Response};
use openevent_flow::{Authentication, Fault, FaultKind, OAuth2};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

const AUTHORIZATION: &str = "authorization";
const UNAUTHORIZED: u16 = 401;
/// Random bytes of a digest client's nonce.
const CNONCE_BYTES: usize = 16;

impl Outside {
    /// Sends a request as whoever the policy says; the answer, and what `$authorization` is then.
    pub(super) async fn exchange(
        &self,
        client: &Client,
        tenant: &Tenant,
        mut request: Request,
        policy: Option<Authentication>,
        veil: &mut Veil,
    ) -> Result<(Response, Option<Value>), Fault> {
        let Some(policy) = policy else { return Ok((send(client, request).await?, None)) };
        let open = veil.reveal_all(policy.clone())?;
        request.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(AUTHORIZATION));
        let told = |scheme: &str, parameter: &str| Some(json!({"scheme": scheme, "parameter": parameter}));
        match (&policy, &open) {
            (_, Authentication::Basic { username, password }) => {
                let parameter = base64(format!("{username}:{password}").as_bytes());
                authorize(&mut request, format!("Basic {parameter}"));
                let is_known = policy == open;
                if !is_known {
                    veil.hide(parameter.clone().into());
                }
                let shown = if is_known { &parameter } else { MASK };
                Ok((send(client, request).await?, told("Basic", shown)))
            }
            (Authentication::Bearer { token: shown }, Authentication::Bearer { token }) => {
                authorize(&mut request, format!("Bearer {token}"));
                Ok((send(client, request).await?, told("Bearer", shown)))
            }
            (_, Authentication::Digest { username, password }) => {
                let response = self.digest(client, request, username, password).await?;
                Ok((response, told("Digest", MASK)))
            }
            (_, Authentication::OAuth2(policy)) => {
                let response = self.with_token(client, tenant, request, policy, veil).await?;
                Ok((response, told("Bearer", MASK)))
            }
            _ => Err(Fault::new(FaultKind::Configuration, "this kind of authentication is not offered")),
        }
    }

    /// Asks once without a credential, then answers the challenge.
    async fn digest(
        &self,
        client: &Client,
        mut request: Request,
        username: &str,
        password: &str,
    ) -> Result<Response, Fault> {
        let first = send(client, request.clone()).await?;
        if first.status != UNAUTHORIZED {
            return Ok(first);
        }
        let values = first.headers.iter().filter(|(name, _)| name == "www-authenticate");
        let Some(challenge) = Challenge::among(values.map(|(_, value)| value.as_str())) else {
            let detail = "the endpoint asks for no digest authentication that is offered here";
            return Err(Fault::new(FaultKind::Authentication, detail));
        };
        let mut cnonce = [0; CNONCE_BYTES];
        self.chance.fill(&mut cnonce);
        let url = url::Url::parse(&request.url)
            .map_err(|_| Fault::new(FaultKind::Configuration, "the address cannot be read"))?;
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let who = Answering {
            username,
            password,
            method: request.method.as_str(),
            target: &format!("{}{query}", url.path()),
            cnonce: &hex(&cnonce),
        };
        let answer = challenge.answer(&who);
        let answer =
            answer.ok_or_else(|| Fault::new(FaultKind::Authentication, "the challenge is unusable"))?;
        authorize(&mut request, answer);
        send(client, request).await
    }

    /// Sends with a token; one that was kept and is refused is replaced, once.
    async fn with_token(
        &self,
        client: &Client,
        tenant: &Tenant,
        mut request: Request,
        policy: &OAuth2,
        veil: &mut Veil,
    ) -> Result<Response, Fault> {
        let (token, asked) = self.token(client, tenant, policy, None).await?;
        bear(&mut request, &token, veil);
        let response = send(client, request.clone()).await?;
        if response.status != UNAUTHORIZED || asked == Asked::Now {
            return Ok(response);
        }
        let (token, _) = self.token(client, tenant, policy, Some(&token)).await?;
        bear(&mut request, &token, veil);
        send(client, request).await
    }
}

async fn send(client: &Client, request: Request) -> Result<Response, Fault> {
    client.send(request).await.map_err(|cause| fault(&cause))
}

fn authorize(request: &mut Request, value: String) {
    request.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(AUTHORIZATION));
    request.headers.push((AUTHORIZATION.to_owned(), value));
}

fn bear(request: &mut Request, token: &SecretString, veil: &mut Veil) {
    authorize(request, format!("Bearer {}", token.expose_secret()));
    veil.hide(token.clone());
}
