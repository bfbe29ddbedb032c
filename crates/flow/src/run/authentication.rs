//! Proving who calls: policies with everything in them evaluated.
//!
//! Invariant: a secret is only ever a stand-in here; the driver puts the real one in its place. A policy is evaluated
//! with the call it belongs to and kept with it. Not here: asking for tokens, making headers.

use super::machine::Machine;
use super::state::Frame;
use crate::command::{Authentication, Authority, Client, OAuth2, Token};
use crate::jq::{Scope, Val};
use crate::model::{Endpoint, OAuth2Policy, Policy, Scheme, TokenPolicy};
use crate::template::Template;
use crate::{ClientAuthentication, Encoding, Fault, FaultKind, uri};

impl Machine<'_> {
    pub(super) fn authentication(
        &self,
        frame: &Frame,
        policy: Option<&Policy>,
    ) -> Result<Option<Authentication>, Fault> {
        let Some(policy) = policy else { return Ok(None) };
        Ok(Some(match policy {
            Policy::Basic { username, password } => Authentication::Basic {
                username: self.text(frame, username)?,
                password: self.text(frame, password)?,
            },
            Policy::Digest { username, password } => Authentication::Digest {
                username: self.text(frame, username)?,
                password: self.text(frame, password)?,
            },
            Policy::Bearer { token } => Authentication::Bearer { token: self.text(frame, token)? },
            Policy::OAuth2(policy) => Authentication::OAuth2(Box::new(self.oauth2(frame, policy)?)),
            Policy::Secret(scheme, name) => self.in_secret(frame, *scheme, name)?,
            Policy::Unsupported(reason) => {
                return Err(Fault::new(FaultKind::Configuration, reason.clone()));
            }
        }))
    }

    fn optional(&self, frame: &Frame, template: Option<&Template>) -> Result<Option<String>, Fault> {
        template.map(|template| self.text(frame, template)).transpose()
    }

    fn texts(&self, frame: &Frame, templates: &[Template]) -> Result<Vec<String>, Fault> {
        templates.iter().map(|template| self.text(frame, template)).collect()
    }

    fn oauth2(&self, frame: &Frame, policy: &OAuth2Policy) -> Result<OAuth2, Fault> {
        let base = self.authority(frame, &policy.authority)?;
        let path = self.optional(frame, policy.token_path.as_ref())?;
        let token = |token: &TokenPolicy| {
            Ok(Token { token: self.text(frame, &token.token)?, kind: self.text(frame, &token.kind)? })
        };
        Ok(OAuth2 {
            authority: authority(&base, path.as_deref()),
            grant: self.text(frame, &policy.grant)?,
            client: Client {
                id: self.optional(frame, policy.client_id.as_ref())?,
                secret: self.optional(frame, policy.client_secret.as_ref())?,
                assertion: self.optional(frame, policy.client_assertion.as_ref())?,
                authentication: policy.client_authentication,
            },
            encoding: policy.encoding,
            issuers: self.texts(frame, &policy.issuers)?,
            scopes: self.texts(frame, &policy.scopes)?,
            audiences: self.texts(frame, &policy.audiences)?,
            username: self.optional(frame, policy.username.as_ref())?,
            password: self.optional(frame, policy.password.as_ref())?,
            subject: policy.subject.as_ref().map(token).transpose()?,
            actor: policy.actor.as_ref().map(token).transpose()?,
        })
    }

    /// The address of an authorization server; it may be a stand-in, so its form is not looked at.
    fn authority(&self, frame: &Frame, endpoint: &Endpoint) -> Result<String, Fault> {
        match endpoint {
            Endpoint::Uri(template) => uri::expand(template, &frame.input)
                .map_err(|reason| Fault::new(FaultKind::Expression, reason)),
            Endpoint::Expr(template) => self.text(frame, template),
        }
    }

    fn in_secret(&self, frame: &Frame, scheme: Scheme, name: &str) -> Result<Authentication, Fault> {
        let env = self.env(frame);
        let secrets = env.var("secrets");
        let Some(val) = secrets.get(name) else {
            let detail = format!("the secret '{name}' does not exist or is not declared in use.secrets");
            return Err(Fault::new(FaultKind::Authorization, detail));
        };
        let secret = Secret { name, val };
        Ok(match scheme {
            Scheme::Basic => Authentication::Basic {
                username: secret.required("username")?,
                password: secret.required("password")?,
            },
            Scheme::Digest => Authentication::Digest {
                username: secret.required("username")?,
                password: secret.required("password")?,
            },
            Scheme::Bearer => match val.as_str() {
                Some(token) => Authentication::Bearer { token: token.to_owned() },
                None => Authentication::Bearer { token: secret.required("token")? },
            },
            Scheme::OAuth2 | Scheme::OpenIdConnect => {
                Authentication::OAuth2(Box::new(secret.oauth2(scheme)?))
            }
        })
    }
}

/// The path is joined to the authority, however both treat the slash.
fn authority(base: &str, path: Option<&str>) -> Authority {
    match path {
        None => Authority::Discovery(base.to_owned()),
        Some(path) if uri::is_absolute(path) => Authority::Token(path.to_owned()),
        Some(path) => {
            Authority::Token(format!("{}/{}", base.trim_end_matches('/'), path.trim_start_matches('/')))
        }
    }
}

/// A secret whose members make a policy.
struct Secret<'s> {
    name: &'s str,
    val: &'s Val,
}

impl Secret<'_> {
    fn member(&self, name: &str) -> Option<String> {
        self.val.get(name).and_then(Val::as_str).map(str::to_owned)
    }

    fn required(&self, name: &str) -> Result<String, Fault> {
        self.member(name).ok_or_else(|| {
            Fault::new(FaultKind::Configuration, format!("the secret '{}' has no '{name}'", self.name))
        })
    }

    /// What may be a word of ours cannot come from a secret, of which only a stand-in is known: those have defaults.
    fn oauth2(&self, scheme: Scheme) -> Result<OAuth2, Fault> {
        let path = self.member("tokenEndpoint").unwrap_or_else(|| "/oauth2/token".to_owned());
        let path = (scheme == Scheme::OAuth2).then_some(path);
        let list = |name: &str| self.member(name).into_iter().collect();
        Ok(OAuth2 {
            authority: authority(&self.required("authority")?, path.as_deref()),
            grant: self.member("grant").unwrap_or_else(|| "client_credentials".to_owned()),
            client: Client {
                id: self.member("clientId"),
                secret: self.member("clientSecret"),
                assertion: self.member("clientAssertion"),
                authentication: ClientAuthentication::default(),
            },
            encoding: Encoding::default(),
            issuers: Vec::new(),
            scopes: list("scopes"),
            audiences: list("audiences"),
            username: self.member("username"),
            password: self.member("password"),
            subject: None,
            actor: None,
        })
    }
}
