//! Where things are and how to prove who asks: endpoints, external resources, authentication.
//!
//! Invariant: a named policy is resolved here, so a task carries the policy itself. Not here: evaluating them (`run`).

use std::sync::Arc;

use super::Reader;
use super::walk::{At, Fields};
use crate::jq::Val;
use crate::model::{Endpoint, Located, OAuth2Policy, Policy, Scheme, TokenPolicy};
use crate::template::Template;
use crate::{ClientAuthentication, Encoding, uri};

/// Where this server's own operations are described.
pub(crate) const OWN_API: &str = "openevent:api";

/// The path of the endpoint for tokens, when the policy gives none.
const TOKEN_PATH: &str = "/oauth2/token";

const GRANTS: [&str; 5] = [
    "authorization_code",
    "client_credentials",
    "password",
    "refresh_token",
    "urn:ietf:params:oauth:grant-type:token-exchange",
];

impl<'n> Reader<'n> {
    /// An address, or an object with it and a policy.
    pub(super) fn endpoint(&mut self, at: &At<'n>) -> Option<Located> {
        if at.as_text().is_some() {
            return self.uri(at).map(|uri| Located { uri, policy: None });
        }
        let fields = at.map(&mut self.findings)?;
        fields.only(&[&["uri", "authentication"]], &mut self.findings);
        let policy = fields.get("authentication").map(|at| self.authentication(&at));
        let uri = fields.required("uri", &mut self.findings).and_then(|at| self.uri(&at));
        Some(Located { uri: uri?, policy: policy.unwrap_or_default() })
    }

    pub(super) fn uri(&mut self, at: &At<'n>) -> Option<Endpoint> {
        let text = at.text(&mut self.findings)?;
        if text.contains("${") {
            return self.template(at).map(Endpoint::Expr);
        }
        if !uri::is_absolute(text) {
            if self.loose {
                return self.template(at).map(Endpoint::Expr);
            }
            self.findings.invalid(at, format!("'{text}' is not a URI such as https://example.com/{{id}}"));
        } else if let Err(reason) = uri::check_template(text) {
            self.findings.invalid(at, format!("not a valid URI template: {reason}"));
        }
        Some(Endpoint::Uri(text.to_owned()))
    }

    /// `{name?, endpoint}`, something that stands elsewhere.
    pub(super) fn resource(&mut self, at: &At<'n>) -> Option<Located> {
        let fields = at.map(&mut self.findings)?;
        fields.only(&[&["name", "endpoint"]], &mut self.findings);
        if let Some(at) = fields.get("name") {
            at.text(&mut self.findings);
        }
        fields.required("endpoint", &mut self.findings).and_then(|at| self.endpoint(&at))
    }

    /// A policy, or the name of one.
    pub(super) fn authentication(&mut self, at: &At<'n>) -> Option<Arc<Policy>> {
        let name = if at.is_map() { at.map(&mut self.findings)?.get("use") } else { None };
        let Some(at_name) = name else { return self.policy(at).map(Arc::new) };
        at.map(&mut self.findings)?.only(&[&["use"]], &mut self.findings);
        let name = at_name.text(&mut self.findings)?;
        let known = self.uses.authentications.get(name).cloned();
        if known.is_none() {
            let reason = format!("there is no authentication '{name}' in use.authentications");
            self.findings.invalid(&at_name, reason);
        }
        known
    }

    /// A policy as such.
    pub(super) fn policy(&mut self, at: &At<'n>) -> Option<Policy> {
        const KINDS: [&str; 6] = ["basic", "bearer", "certificate", "digest", "oauth2", "oidc"];
        let fields = at.map(&mut self.findings)?;
        fields.only(&[&KINDS], &mut self.findings);
        let found: Vec<_> = KINDS.into_iter().filter_map(|kind| Some((kind, fields.get(kind)?))).collect();
        let [(kind, at)] = found.as_slice() else {
            self.findings.invalid(at, format!("needs exactly one of {}", KINDS.join(", ")));
            return None;
        };
        match *kind {
            "basic" => self.pair(at, Scheme::Basic),
            "digest" => self.pair(at, Scheme::Digest),
            "bearer" => {
                let fields = match self.given(at, &["token"], Scheme::Bearer)? {
                    Given::Secret(policy) => return Some(policy),
                    Given::Here(fields) => fields,
                };
                Some(Policy::Bearer { token: self.required_template(&fields, "token")? })
            }
            "certificate" => {
                let reason = "authentication by certificate is not offered";
                self.findings.unsupported(at, reason);
                Some(Policy::Unsupported(reason.to_owned()))
            }
            "oauth2" => self.oauth2(at, Scheme::OAuth2),
            _ => self.oauth2(at, Scheme::OpenIdConnect),
        }
    }

    /// The members of a policy, or the secret they are in.
    fn given(&mut self, at: &At<'n>, names: &[&str], scheme: Scheme) -> Option<Given<'n>> {
        let fields = at.map(&mut self.findings)?;
        let Some(name) = fields.get("use") else {
            fields.only(&[names, &["use"]], &mut self.findings);
            return Some(Given::Here(fields));
        };
        fields.only(&[&["use"]], &mut self.findings);
        let text = name.text(&mut self.findings)?;
        if text.is_empty() {
            self.findings.invalid(&name, "needs the name of a secret");
        }
        Some(Given::Secret(Policy::Secret(scheme, text.to_owned())))
    }

    fn pair(&mut self, at: &At<'n>, scheme: Scheme) -> Option<Policy> {
        let fields = match self.given(at, &["username", "password"], scheme)? {
            Given::Secret(policy) => return Some(policy),
            Given::Here(fields) => fields,
        };
        let username = self.required_template(&fields, "username");
        let password = self.required_template(&fields, "password");
        let (username, password) = (username?, password?);
        Some(match scheme {
            Scheme::Digest => Policy::Digest { username, password },
            _ => Policy::Basic { username, password },
        })
    }

    fn oauth2(&mut self, at: &At<'n>, scheme: Scheme) -> Option<Policy> {
        const NAMES: [&str; 11] = [
            "authority",
            "grant",
            "client",
            "request",
            "issuers",
            "scopes",
            "audiences",
            "username",
            "password",
            "subject",
            "actor",
        ];
        let names =
            if scheme == Scheme::OAuth2 { [&NAMES[..], &["endpoints"]].concat() } else { NAMES.to_vec() };
        let fields = match self.given(at, &names, scheme)? {
            Given::Secret(policy) => return Some(policy),
            Given::Here(fields) => fields,
        };
        let authority = fields.required("authority", &mut self.findings).and_then(|at| self.uri(&at));
        let grant = fields.required("grant", &mut self.findings).and_then(|at| {
            at.one_of(&GRANTS, &mut self.findings).map(|grant| Template::Literal(Val::str(grant)))
        });
        let token_path = match scheme {
            Scheme::OAuth2 => Some(self.token_path(&fields)),
            _ => None,
        };
        let client = fields.get("client").and_then(|at| at.map(&mut self.findings));
        let client_authentication = client.as_ref().map(|client| self.client(client)).unwrap_or_default();
        let mut of_client = |name: &str| client.as_ref().and_then(|client| self.text_member(client, name));
        let (client_id, client_secret, client_assertion) =
            (of_client("id"), of_client("secret"), of_client("assertion"));
        let encoding = self.encoding(&fields);
        let policy = OAuth2Policy {
            client_id,
            client_secret,
            client_assertion,
            client_authentication,
            encoding,
            issuers: self.texts(&fields, "issuers"),
            scopes: self.texts(&fields, "scopes"),
            audiences: self.texts(&fields, "audiences"),
            username: self.text_member(&fields, "username"),
            password: self.text_member(&fields, "password"),
            subject: fields.get("subject").and_then(|at| self.token(&at)),
            actor: fields.get("actor").and_then(|at| self.token(&at)),
            token_path,
            authority: authority?,
            grant: grant?,
        };
        Some(Policy::OAuth2(Box::new(policy)))
    }

    fn token_path(&mut self, fields: &Fields<'n>) -> Template {
        let default = Template::Literal(Val::str(TOKEN_PATH));
        let Some(endpoints) = fields.get("endpoints").and_then(|at| at.map(&mut self.findings)) else {
            return default;
        };
        endpoints.only(&[&["token", "revocation", "introspection"]], &mut self.findings);
        for name in ["revocation", "introspection"] {
            if let Some(at) = endpoints.get(name) {
                at.text(&mut self.findings);
            }
        }
        self.text_member(&endpoints, "token").unwrap_or(default)
    }

    fn client(&mut self, client: &Fields<'n>) -> ClientAuthentication {
        const METHODS: [&str; 5] =
            ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none"];
        client.only(&[&["id", "secret", "assertion", "authentication"]], &mut self.findings);
        let method = client.get("authentication").and_then(|at| at.one_of(&METHODS, &mut self.findings));
        match method {
            Some("client_secret_basic") => ClientAuthentication::ClientSecretBasic,
            Some("client_secret_jwt") => ClientAuthentication::ClientSecretJwt,
            Some("private_key_jwt") => {
                client.required("assertion", &mut self.findings);
                ClientAuthentication::PrivateKeyJwt
            }
            Some("none") => ClientAuthentication::None,
            _ => ClientAuthentication::ClientSecretPost,
        }
    }

    fn encoding(&mut self, fields: &Fields<'n>) -> Encoding {
        const FORM: &str = "application/x-www-form-urlencoded";
        let Some(request) = fields.get("request").and_then(|at| at.map(&mut self.findings)) else {
            return Encoding::Form;
        };
        request.only(&[&["encoding"]], &mut self.findings);
        let words = [FORM, "application/json"];
        match request.get("encoding").and_then(|at| at.one_of(&words, &mut self.findings)) {
            Some("application/json") => Encoding::Json,
            _ => Encoding::Form,
        }
    }

    fn token(&mut self, at: &At<'n>) -> Option<TokenPolicy> {
        let fields = at.map(&mut self.findings)?;
        fields.only(&[&["token", "type"]], &mut self.findings);
        let token = self.required_template(&fields, "token");
        let kind = self.required_template(&fields, "type");
        Some(TokenPolicy { token: token?, kind: kind? })
    }

    /// Text that may hold expressions.
    pub(super) fn required_template(&mut self, fields: &Fields<'n>, name: &str) -> Option<Template> {
        fields.required(name, &mut self.findings)?;
        self.text_member(fields, name)
    }

    /// A list of text that may hold expressions.
    pub(super) fn texts(&mut self, fields: &Fields<'n>, name: &str) -> Vec<Template> {
        let items = fields.get(name).and_then(|at| at.list(&mut self.findings)).unwrap_or_default();
        let mut templates = Vec::with_capacity(items.len());
        for item in items {
            if item.text(&mut self.findings).is_some() {
                templates.extend(self.template(&item));
            }
        }
        templates
    }
}

/// Where the members of a policy are.
enum Given<'n> {
    Here(Fields<'n>),
    Secret(Policy),
}
