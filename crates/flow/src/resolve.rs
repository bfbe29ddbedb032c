//! Where things are and how to prove who asks, with everything in them evaluated.
//!
//! Invariant: a secret is only ever a stand-in here; the driver puts the real one in its place. A policy is evaluated
//! with the call or the document it belongs to. Not here: asking for tokens, making headers.

use crate::command::{Authentication, Authority, Client, OAuth2, Resource, Token};
use crate::jq::{Failure, Scope, Val};
use crate::model::{Endpoint, Located, OAuth2Policy, Policy, Scheme, TokenPolicy};
use crate::parse::endpoint::OWN_API;
use crate::template::Template;
use crate::{ClientAuthentication, Encoding, Fault, FaultKind, uri};

/// The place a template stands at.
#[derive(Clone, Copy)]
pub(crate) struct Place<'p> {
    pub(crate) input: &'p Val,
    pub(crate) scope: &'p dyn Scope,
}

impl Place<'_> {
    fn eval(&self, template: &Template) -> Result<Val, Fault> {
        let wrong = |failure: Failure| Fault::new(FaultKind::Expression, failure.0);
        template.eval(self.input, self.scope).map_err(wrong)
    }

    /// The text a template gives; numbers and booleans are written out.
    pub(crate) fn text(&self, template: &Template) -> Result<String, Fault> {
        let val = self.eval(template)?;
        match &val {
            Val::Null | Val::Arr(_) | Val::Obj(_) => {
                Err(Fault::new(FaultKind::Expression, format!("text is needed, not {}", val.kind())))
            }
            scalar => Ok(uri::scalar(scalar).unwrap_or_default()),
        }
    }

    /// Something elsewhere, with its policy.
    pub(crate) fn resource(&self, located: &Located) -> Result<Resource, Fault> {
        let own = matches!(&located.uri, Endpoint::Uri(text) if text == OWN_API);
        let uri = if own { OWN_API.to_owned() } else { self.address(&located.uri)? };
        Ok(Resource { uri, authentication: self.authentication(located.policy.as_deref())? })
    }

    pub(crate) fn address(&self, endpoint: &Endpoint) -> Result<String, Fault> {
        let wrong = |reason: String| Fault::new(FaultKind::Expression, reason);
        let address = match endpoint {
            Endpoint::Uri(template) => uri::expand(template, self.input).map_err(wrong)?,
            Endpoint::Expr(template) => {
                let val = self.eval(template)?;
                let given = val.get("uri").cloned().unwrap_or(val);
                let text = given
                    .as_str()
                    .ok_or_else(|| wrong(format!("the endpoint must be a URI, not {}", given.kind())))?;
                text.to_owned()
            }
        };
        let scheme = address.split("://").next().unwrap_or_default();
        let is_plain = uri::is_absolute(&address)
            && (scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https"));
        // What a secret address is like is the driver's to see.
        if !is_plain && !begins_with(&self.scope.var("secrets"), &address) {
            let shown: String = address.chars().take(100).collect();
            return Err(Fault::new(
                FaultKind::Configuration,
                format!("'{shown}' is not an http or https address"),
            ));
        }
        Ok(address)
    }

    pub(crate) fn authentication(&self, policy: Option<&Policy>) -> Result<Option<Authentication>, Fault> {
        let Some(policy) = policy else { return Ok(None) };
        Ok(Some(match policy {
            Policy::Basic { username, password } => {
                Authentication::Basic { username: self.text(username)?, password: self.text(password)? }
            }
            Policy::Digest { username, password } => {
                Authentication::Digest { username: self.text(username)?, password: self.text(password)? }
            }
            Policy::Bearer { token } => Authentication::Bearer { token: self.text(token)? },
            Policy::OAuth2(policy) => Authentication::OAuth2(Box::new(self.oauth2(policy)?)),
            Policy::Secret(scheme, name) => self.in_secret(*scheme, name)?,
            Policy::Unsupported(reason) => {
                return Err(Fault::new(FaultKind::Configuration, reason.clone()));
            }
        }))
    }

    fn optional(&self, template: Option<&Template>) -> Result<Option<String>, Fault> {
        template.map(|template| self.text(template)).transpose()
    }

    fn texts(&self, templates: &[Template]) -> Result<Vec<String>, Fault> {
        templates.iter().map(|template| self.text(template)).collect()
    }

    fn oauth2(&self, policy: &OAuth2Policy) -> Result<OAuth2, Fault> {
        let base = self.authority(&policy.authority)?;
        let path = self.optional(policy.token_path.as_ref())?;
        let token = |token: &TokenPolicy| {
            Ok(Token { token: self.text(&token.token)?, kind: self.text(&token.kind)? })
        };
        Ok(OAuth2 {
            authority: authority(&base, path.as_deref()),
            grant: self.text(&policy.grant)?,
            client: Client {
                id: self.optional(policy.client_id.as_ref())?,
                secret: self.optional(policy.client_secret.as_ref())?,
                assertion: self.optional(policy.client_assertion.as_ref())?,
                authentication: policy.client_authentication,
            },
            encoding: policy.encoding,
            issuers: self.texts(&policy.issuers)?,
            scopes: self.texts(&policy.scopes)?,
            audiences: self.texts(&policy.audiences)?,
            username: self.optional(policy.username.as_ref())?,
            password: self.optional(policy.password.as_ref())?,
            subject: policy.subject.as_ref().map(token).transpose()?,
            actor: policy.actor.as_ref().map(token).transpose()?,
        })
    }

    /// The address of an authorization server; it may be a stand-in, so its form is not looked at.
    fn authority(&self, endpoint: &Endpoint) -> Result<String, Fault> {
        match endpoint {
            Endpoint::Uri(template) => {
                uri::expand(template, self.input).map_err(|reason| Fault::new(FaultKind::Expression, reason))
            }
            Endpoint::Expr(template) => self.text(template),
        }
    }

    fn in_secret(&self, scheme: Scheme, name: &str) -> Result<Authentication, Fault> {
        let secrets = self.scope.var("secrets");
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

/// Whether a text begins with one of the texts in a value.
fn begins_with(val: &Val, text: &str) -> bool {
    match val {
        Val::Str(part) => !part.is_empty() && text.starts_with(part.as_str()),
        Val::Obj(members) => members.members().values().any(|member| begins_with(member, text)),
        _ => false,
    }
}
