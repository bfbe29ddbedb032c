//! The four layers of configuration, one over the other: defaults, file, environment, flags.
//!
//! Invariant: every value remembers where it came from, so that a complaint names the file, the variable or
//! the flag; a key that nobody knows is refused where a person wrote it (file), and only there.
//! Not here: the meaning of a value (`settings.rs`), defaults (`mod.rs`).

use super::environment::Environment;
use crate::failure::{one_line, usage};
use figment::providers::{Format as _, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// The file looked for in the working directory.
pub(crate) const FILE: &str = "openevent.toml";

/// Every key there is, as written in the file; in upper case behind `OPENEVENT_` as a variable.
pub(crate) const KEYS: [&str; 42] = [
    "listen",
    "data_dir",
    "key_file",
    "workflows",
    "database_url",
    "api_token",
    "static_token_rate_per_minute",
    "address_rate_per_hour",
    "public_intake_per_hour",
    "import_bytes_max",
    "client_address_header",
    "public_url",
    "webhook_retry_schedule",
    "webhook_timeout",
    "egress_allow",
    "egress_proxy",
    "egress_no_proxy",
    "egress_ca_file",
    "listen_lookback",
    "lifecycle_events",
    "retention",
    "run_shell",
    "run_script",
    "temporal_address",
    "temporal_namespace",
    "temporal_task_queue",
    "temporal_tls",
    "temporal_tls_ca_file",
    "temporal_tls_server_name",
    "temporal_tls_cert_file",
    "temporal_tls_key_file",
    "temporal_api_key",
    "temporal_dispatch",
    "temporal_shards",
    "log",
    "log_format",
    "bench",
    "bench_group_max",
    "bench_calls",
    "drain_timeout",
    "session_idle",
    "session_lifetime",
];

/// One value from outside the file.
struct Single {
    key: &'static str,
    value: String,
    origin: String,
}

impl Provider for Single {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let dict = Dict::from([(self.key.to_owned(), Value::from(self.value.clone()))]);
        Ok(Map::from([(Profile::Default, dict)]))
    }
}

/// A flag that sets a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flag {
    /// As typed, with its dashes.
    pub(crate) name: &'static str,
    /// The key it sets.
    pub(crate) key: &'static str,
    /// Its text.
    pub(crate) value: String,
}

/// The key whose members are tables, one for each source. It has no variables: there may be any number of them.
const SOURCES: &str = "sources";

/// The layers, merged.
pub(crate) struct Layers {
    figment: Figment,
    sources: Vec<Table>,
}

/// A table that stands for itself: its members are no keys.
pub(crate) struct Table {
    /// What it is called.
    pub(crate) name: String,
    place: String,
    members: Dict,
}

impl Layers {
    /// Reads the layers. `file` was asked for by name and has to be there; [`FILE`] need not.
    pub(crate) fn read(
        file: Option<&Path>,
        environment: &Environment,
        flags: Vec<Flag>,
    ) -> anyhow::Result<Self> {
        let asked =
            file.map(Path::to_owned).or_else(|| environment.get("OPENEVENT_CONFIG").map(PathBuf::from));
        let (mut layers, sources) = match asked {
            Some(path) => from_file(&path)?,
            None if Path::new(FILE).exists() => from_file(Path::new(FILE))?,
            None => (Figment::new(), Vec::new()),
        };
        for variable in environment.settings() {
            let origin = format!("environment variable {}", variable.name);
            layers = layers.merge(Single { key: variable.key, value: variable.value.to_owned(), origin });
        }
        for flag in flags {
            layers = layers.merge(Single {
                key: flag.key,
                value: flag.value,
                origin: format!("flag {}", flag.name),
            });
        }
        Ok(Self { figment: layers, sources })
    }

    /// The tables of the sources.
    pub(crate) fn sources(&self) -> &[Table] {
        &self.sources
    }

    /// A key's value, read by `read`; `None` when no layer sets it.
    pub(crate) fn get<T, E: Display>(
        &self,
        key: &'static str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> anyhow::Result<Option<T>> {
        debug_assert!(KEYS.contains(&key), "{key}");
        let Ok(value) = self.figment.find_value(key) else { return Ok(None) };
        let text = text(&value).ok_or_else(|| self.refuse(key, "a table is not a value here"))?;
        read(&text).map(Some).map_err(|reason| self.refuse(key, &reason.to_string()))
    }

    /// A refusal of a key's value that says where it stands.
    pub(crate) fn refuse(&self, key: &str, reason: &str) -> anyhow::Error {
        let what = format!("{} is not usable: {}", self.origin(key), one_line(reason));
        usage(what, "docs/configuration.md lists every setting with its form and default")
    }

    fn origin(&self, key: &str) -> String {
        match self.figment.find_metadata(key) {
            Some(metadata) if metadata.name.starts_with(PLACE) => {
                format!("`{key}` in {}", &metadata.name[PLACE.len()..])
            }
            Some(metadata) => metadata.name.to_string(),
            None => format!("the default of `{key}`"),
        }
    }
}

impl Table {
    /// Refuses members that are none of these.
    pub(crate) fn check(&self, known: &[&str]) -> anyhow::Result<()> {
        match self.members.keys().find(|key| !known.contains(&key.as_str())) {
            Some(unknown) => {
                Err(usage(format!("unknown key `{unknown}` in {}", self.place), suggestion(unknown, known)))
            }
            None => Ok(()),
        }
    }

    /// A member's value, read by `read`; `None` when it is not there.
    pub(crate) fn get<T, E: Display>(
        &self,
        key: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> anyhow::Result<Option<T>> {
        let Some(value) = self.members.get(key) else { return Ok(None) };
        let text =
            text(value).ok_or_else(|| self.refuse(&format!("`{key}`: a table is not a value here")))?;
        read(&text).map(Some).map_err(|reason| self.refuse(&format!("`{key}`: {reason}")))
    }

    /// A refusal that says where the table stands.
    pub(crate) fn refuse(&self, reason: &str) -> anyhow::Error {
        let what = format!("{} is not usable: {}", self.place, one_line(reason));
        usage(what, "docs/sources.md lists what a source is made of")
    }
}

/// Marks values that came from a file; the rest of the name is the path.
const PLACE: &str = "file ";

struct File {
    path: PathBuf,
    dict: Dict,
}

impl Provider for File {
    fn metadata(&self) -> Metadata {
        Metadata::named(format!("{PLACE}{}", self.path.display()))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.dict.clone())]))
    }
}

fn from_file(path: &Path) -> anyhow::Result<(Figment, Vec<Table>)> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|cause| {
        usage(format!("cannot read {shown}: {cause}"), "check the name given with --config")
    })?;
    let parsed = Toml::string(&text).data().map_err(|cause| {
        usage(
            format!("{shown} is not TOML: {}", one_line(&cause.to_string())),
            "text needs quotes: listen = \"127.0.0.1:8080\"",
        )
    })?;
    let mut dict = parsed.into_values().next().unwrap_or_default();
    let sources = tables(dict.remove(SOURCES), path)?;
    let dict = flat(dict);
    if let Some(unknown) = dict.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(usage(format!("unknown key `{unknown}` in {shown}"), suggestion(unknown, &KEYS)));
    }
    Ok((Figment::from(File { path: path.to_owned(), dict }), sources))
}

/// The tables of `[sources.…]`.
fn tables(sources: Option<Value>, path: &Path) -> anyhow::Result<Vec<Table>> {
    let place = |name: &str| format!("[{SOURCES}.{name}] in {}", path.display());
    let members = match sources {
        None => Dict::new(),
        Some(Value::Dict(_, members)) => members,
        Some(_) => return Err(no_table(&format!("`{SOURCES}` in {}", path.display()))),
    };
    let tables = members.into_iter().map(|(name, value)| match value {
        Value::Dict(_, members) => Ok(Table { place: place(&name), name, members }),
        _ => Err(no_table(&place(&name))),
    });
    tables.collect()
}

fn no_table(place: &str) -> anyhow::Error {
    usage(format!("{place} is no table"), "write [sources.NAME], and the source's keys below it")
}

/// A table's members as keys that begin with its name: `shell` of `[run]` is `run_shell`.
fn flat(dict: Dict) -> Dict {
    let members = dict.into_iter().flat_map(|(name, value)| match value {
        Value::Dict(_, members) => {
            members.into_iter().map(|(member, value)| (format!("{name}_{member}"), value)).collect()
        }
        value => vec![(name, value)],
    });
    members.collect()
}

/// The key that was probably meant, or all of them.
fn suggestion(unknown: &str, known: &[&str]) -> String {
    let near = known.iter().map(|key| (distance(key, unknown), key)).min();
    match near {
        Some((changes, key)) if changes <= 3 => format!("did you mean `{key}`?"),
        _ => format!("the keys are {}", known.join(", ")),
    }
}

/// How many characters have to change to get from one word to another (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in to.chars().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

/// A value as text; a list becomes `a,b`, as a variable would write it.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(_, text) => Some(text.clone()),
        Value::Char(_, one) => Some(one.to_string()),
        Value::Bool(_, flag) => Some(flag.to_string()),
        Value::Num(..) => {
            let whole = value.to_i128().map(|number| number.to_string());
            whole
                .or_else(|| value.to_u128().map(|number| number.to_string()))
                .or_else(|| value.to_f64().map(|number| number.to_string()))
        }
        Value::Array(_, values) => {
            values.iter().map(text).collect::<Option<Vec<_>>>().map(|all| all.join(","))
        }
        Value::Empty(..) | Value::Dict(..) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_changes() {
        assert_eq!((distance("listen", "listn"), distance("", "abc"), distance("a", "a")), (1, 3, 0));
        assert_eq!(suggestion("data-dir", &KEYS), "did you mean `data_dir`?");
        assert!(suggestion("something_else_entirely", &KEYS).starts_with("the keys are listen, "));
    }

    #[test]
    fn lists_and_numbers_read_like_variables() {
        let parsed = Toml::string("a = [\"1m\", \"5m\"]\nb = 15\nc = true\nd.e = 1").data().unwrap();
        let dict = parsed.into_values().next().unwrap();
        let texts: Vec<_> = dict.values().map(text).collect();
        assert_eq!(texts, [Some("1m,5m".into()), Some("15".into()), Some("true".into()), None]);
    }
}
