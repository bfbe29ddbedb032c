//! Documents a definition needs from elsewhere: functions of catalogs, schemas.
//!
//! Invariant: they are part of the definition once it is linked, so a run never depends on another host being up,
//! and the definition's hash covers them. Not here: fetching them.
//!
//! A function of the catalog `default` has the address [`DEFAULT_CATALOG`]`/functions/<name>/<version>/function.yaml`,
//! name and version being letters, digits and `. _ -` that do not begin with a dot. Where a policy takes something
//! from a secret, [`Missing`] holds [`secret_stand_in`] in its place.

use std::collections::BTreeMap;

use crate::Resource;
use crate::jq::{Scope, Val};

/// Where the functions of the catalog `default` are, unless a definition declares one of that name.
pub const DEFAULT_CATALOG: &str = "openevent:catalog";

/// What stands for a member of a secret where a [`Missing`] document is asked for. A secret that is text has one member,
/// itself, under any name.
pub fn secret_stand_in(secret: &str, member: &str) -> String {
    format!("\u{e000}secret:{secret}.{member}\u{e001}")
}

/// Texts of documents by their address.
pub type Documents = BTreeMap<String, String>;

/// A document that is needed and was not given.
#[derive(Clone, Debug, PartialEq)]
pub struct Missing {
    /// Where it is.
    pub resource: Resource,
    /// JSON pointer of who needs it.
    pub path: String,
    /// Line of who needs it, from 1.
    pub line: usize,
}

/// What a policy of a document may use: there is no run yet, so there are only secrets.
pub(crate) struct Unlinked<'s> {
    pub(crate) secrets: &'s [String],
}

impl Scope for Unlinked<'_> {
    fn var(&self, name: &str) -> Val {
        const MEMBERS: [&str; 11] = [
            "username",
            "password",
            "token",
            "authority",
            "tokenEndpoint",
            "grant",
            "clientId",
            "clientSecret",
            "clientAssertion",
            "scopes",
            "audiences",
        ];
        if name != "secrets" {
            return Val::Null;
        }
        let secret = |secret: &String| {
            let members =
                MEMBERS.map(|member| (member.to_owned().into(), Val::from(secret_stand_in(secret, member))));
            (secret.clone().into(), Val::obj(members.into()))
        };
        Val::obj(self.secrets.iter().map(secret).collect())
    }
}

/// The address of a function in a catalog.
pub(crate) fn function(root: &str, name: &str, version: &str) -> String {
    raw(&format!("{}/functions/{name}/{version}/function.yaml", root.trim_end_matches('/')))
}

/// The address of a function somebody named by a URL: the folder it is in, or the document itself.
pub(crate) fn function_at(url: &str) -> String {
    let is_document = [".yaml", ".yml", ".json"].iter().any(|ending| url.ends_with(ending));
    if is_document {
        return raw(url);
    }
    // https://github.com/owner/repository/folder@version
    if let Some((folder, version)) = url.strip_prefix(GITHUB).and_then(|path| path.rsplit_once('@'))
        && let [owner, repository, path] = folder.splitn(3, '/').collect::<Vec<_>>()[..]
    {
        return format!("{GITHUB_RAW}{owner}/{repository}/{version}/{path}/function.yaml");
    }
    raw(&format!("{}/function.yaml", url.trim_end_matches('/')))
}

const GITHUB: &str = "https://github.com/";
const GITHUB_RAW: &str = "https://raw.githubusercontent.com/";

/// Pages of GitHub and GitLab that show a document, as addresses of the document.
fn raw(address: &str) -> String {
    if let Some(path) = address.strip_prefix(GITHUB) {
        let parts: Vec<_> = path.splitn(5, '/').collect();
        return match parts[..] {
            [owner, repository, "tree" | "blob", branch, path] => {
                format!("{GITHUB_RAW}{owner}/{repository}/refs/heads/{branch}/{path}")
            }
            [owner, repository, ..] if parts.len() > 2 => {
                format!("{GITHUB_RAW}{owner}/{repository}/HEAD/{}", parts[2..].join("/"))
            }
            _ => address.to_owned(),
        };
    }
    for page in ["/-/tree/", "/-/blob/"] {
        if let Some((repository, path)) = address.split_once(page) {
            return format!("{repository}/-/raw/{path}");
        }
    }
    let functions =
        address.strip_prefix("https://gitlab.com/").and_then(|path| path.split_once("/functions/"));
    match functions {
        Some((repository, path)) if !repository.contains("/-/") => {
            format!("https://gitlab.com/{repository}/-/raw/HEAD/functions/{path}")
        }
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_repositories_become_documents() {
        let cases = [
            (
                "https://github.com/serverlessworkflow/catalog/tree/main",
                "https://raw.githubusercontent.com/serverlessworkflow/catalog/refs/heads/main/functions/log/1.0.0/function.yaml",
            ),
            (
                "https://github.com/serverlessworkflow/catalog",
                "https://raw.githubusercontent.com/serverlessworkflow/catalog/HEAD/functions/log/1.0.0/function.yaml",
            ),
            (
                "https://gitlab.com/group/sub/catalog/-/tree/main/",
                "https://gitlab.com/group/sub/catalog/-/raw/main/functions/log/1.0.0/function.yaml",
            ),
            (
                "https://gitlab.com/group/catalog",
                "https://gitlab.com/group/catalog/-/raw/HEAD/functions/log/1.0.0/function.yaml",
            ),
            ("https://x.example/c/", "https://x.example/c/functions/log/1.0.0/function.yaml"),
            (DEFAULT_CATALOG, "openevent:catalog/functions/log/1.0.0/function.yaml"),
        ];
        for (root, document) in cases {
            assert_eq!(function(root, "log", "1.0.0"), document);
        }
    }

    #[test]
    fn a_function_may_be_named_by_its_folder_or_its_document() {
        let cases = [
            ("https://x.example/f/function.yaml", "https://x.example/f/function.yaml"),
            ("https://x.example/f/", "https://x.example/f/function.yaml"),
            (
                "https://github.com/myorg/functions/validate@v1.0.0",
                "https://raw.githubusercontent.com/myorg/functions/v1.0.0/validate/function.yaml",
            ),
            (
                "https://github.com/o/r/blob/main/f.yaml",
                "https://raw.githubusercontent.com/o/r/refs/heads/main/f.yaml",
            ),
        ];
        for (url, document) in cases {
            assert_eq!(function_at(url), document);
        }
    }
}
