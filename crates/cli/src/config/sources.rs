//! The tables `[sources.NAME]` of the file: other people's servers whose messages become signals, and senders of webhooks.
//!
//! Invariant: a table with a key nobody knows is refused; no refusal repeats an address, which may hold a password.
//! Not here: reading those servers (`openevent_sources`).

use super::environment::Environment;
use super::layers::Table;
use openevent_domain::tenant::{self, DEFAULT_PROJECT, is_project_name};
use openevent_sources::{GROUP, Kind, Naming, PostgresSource, RedisSource, Source, Table as OutboxTable};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

/// Keys of every source.
const COMMON: [&str; 6] = ["kind", "url", "url_env", "name", "project", "environment"];
/// Keys of sources that are Redis.
const REDIS: [&str; 3] = ["channels", "streams", "group"];
/// Keys of sources that are PostgreSQL.
const POSTGRES: [&str; 2] = ["channels", "outbox"];
/// Keys of sources that post webhooks to us.
const HOOK: [&str; 14] = [
    "kind",
    "project",
    "environment",
    "preset",
    "secret_env",
    "event_name",
    "event_id",
    "payload",
    "signature_header",
    "signature_prefix",
    "signature_algorithm",
    "signature_encoding",
    "signature_timestamp_header",
    "signature_signed",
];
/// The longest name of a source.
const NAME_CHARS_MAX: usize = 64;

/// A source, and whose signals its messages become.
#[derive(Clone, Debug)]
pub(crate) struct SourceSettings {
    /// The source.
    pub(crate) source: Source,
    /// The project's name.
    pub(crate) project: String,
    /// Which of its data sets.
    pub(crate) environment: tenant::Environment,
}

/// A sender of webhooks.
#[derive(Clone, Debug)]
pub(crate) struct HookSettings {
    /// What the API would be told, without the secrets.
    pub(crate) fields: Map<String, Value>,
    /// Its secrets, each of which will do.
    pub(crate) secrets: Vec<SecretString>,
    /// The project's name.
    pub(crate) project: String,
    /// Which of its data sets.
    pub(crate) environment: tenant::Environment,
}

impl HookSettings {
    /// What the API would be told.
    pub(crate) fn body(&self) -> Value {
        let mut fields = self.fields.clone();
        if !self.secrets.is_empty() {
            let secrets: Vec<&str> = self.secrets.iter().map(ExposeSecret::expose_secret).collect();
            fields.insert("secret".to_owned(), json!(secrets));
        }
        Value::Object(fields)
    }
}

/// All tables, read.
#[derive(Default)]
pub(super) struct Sources {
    /// Those that can be read.
    pub(super) ready: Vec<SourceSettings>,
    /// Those that post to us.
    pub(super) hooks: Vec<HookSettings>,
    /// Why others cannot: a variable is not set.
    pub(super) unset: Vec<String>,
    /// Variables they name.
    pub(super) variables: Vec<String>,
}

impl Sources {
    pub(super) fn read(tables: &[Table], environment: &Environment) -> anyhow::Result<Self> {
        let mut sources = Self::default();
        for table in tables {
            sources.add(table, environment)?;
        }
        Ok(sources)
    }

    fn add(&mut self, table: &Table, environment: &Environment) -> anyhow::Result<()> {
        if !is_source_name(&table.name) {
            return Err(table.refuse("a source's name is 1 to 64 letters, digits, dashes or underscores"));
        }
        let kind = table.get("kind", word)?;
        let read = match kind.as_deref() {
            Some("redis") => redis,
            Some("postgres") => postgres,
            Some("hook") => return self.add_hook(table, environment),
            _ => return Err(table.refuse("`kind` is redis, postgres or hook")),
        };
        let (url, variable) = (table.get("url", word)?, table.get("url_env", word)?);
        let url = match (url, &variable) {
            (Some(url), None) => Some(url),
            (None, Some(variable)) => environment.get(variable).map(str::to_owned),
            _ => return Err(table.refuse("it needs one of `url` and `url_env`")),
        };
        self.variables.extend(variable.clone());
        let Some(url) = url else {
            let variable = variable.unwrap_or_default();
            self.unset.push(format!("{variable}, which the source {} needs, is not set", table.name));
            return Ok(());
        };
        let kind = read(table, &url)?;
        self.ready.push(SourceSettings {
            source: Source { name: table.name.clone(), kind },
            project: table.get("project", project)?.unwrap_or_else(|| DEFAULT_PROJECT.to_owned()),
            environment: table.get("environment", data_set)?.unwrap_or(tenant::Environment::Live),
        });
        Ok(())
    }
}

impl Sources {
    fn add_hook(&mut self, table: &Table, environment: &Environment) -> anyhow::Result<()> {
        table.check(&HOOK)?;
        let mut secrets = Vec::new();
        for variable in words(table, "secret_env")? {
            match environment.get(&variable) {
                Some(secret) => secrets.push(SecretString::from(secret.to_owned())),
                None => {
                    self.unset.push(format!("{variable}, which the source {} needs, is not set", table.name));
                }
            }
            self.variables.push(variable);
        }
        let mut fields = Map::from_iter([("name".to_owned(), Value::from(table.name.as_str()))]);
        for (key, field) in [
            ("preset", "preset"),
            ("event_name", "eventName"),
            ("event_id", "eventId"),
            ("payload", "payload"),
        ] {
            fields.extend(table.get(key, word)?.map(|text| (field.to_owned(), Value::from(text))));
        }
        let mut rule = Map::new();
        for (key, field) in [
            ("signature_header", "header"),
            ("signature_prefix", "prefix"),
            ("signature_algorithm", "algorithm"),
            ("signature_encoding", "encoding"),
            ("signature_timestamp_header", "timestampHeader"),
            ("signature_signed", "signed"),
        ] {
            rule.extend(table.get(key, word)?.map(|text| (field.to_owned(), Value::from(text))));
        }
        if !rule.is_empty() {
            fields.insert("signature".to_owned(), Value::Object(rule));
        }
        self.hooks.push(HookSettings {
            fields,
            secrets,
            project: table.get("project", project)?.unwrap_or_else(|| DEFAULT_PROJECT.to_owned()),
            environment: table.get("environment", data_set)?.unwrap_or(tenant::Environment::Live),
        });
        Ok(())
    }
}

fn redis(table: &Table, url: &str) -> anyhow::Result<Kind> {
    table.check(&[&COMMON[..], &REDIS].concat())?;
    let naming = table.get("name", Naming::parse)?.unwrap_or_else(Naming::queue);
    let group = table.get("group", word)?.unwrap_or_else(|| GROUP.to_owned());
    let redis = RedisSource::new(url, words(table, "channels")?, words(table, "streams")?, group, naming);
    redis.map(Kind::Redis).map_err(|bad| table.refuse(&bad.to_string()))
}

fn postgres(table: &Table, url: &str) -> anyhow::Result<Kind> {
    table.check(&[&COMMON[..], &POSTGRES].concat())?;
    let naming = table.get("name", Naming::parse)?.unwrap_or_else(Naming::dotted);
    let outbox = table.get("outbox", OutboxTable::parse)?;
    let postgres = PostgresSource::new(url, words(table, "channels")?, outbox, naming);
    postgres.map(Kind::Postgres).map_err(|bad| table.refuse(&bad.to_string()))
}

fn is_source_name(name: &str) -> bool {
    let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    (1..=NAME_CHARS_MAX).contains(&name.len()) && name.chars().all(is_good)
}

fn word(text: &str) -> Result<String, &'static str> {
    if text.is_empty() { Err("it is empty") } else { Ok(text.to_owned()) }
}

/// Words between commas.
fn words(table: &Table, key: &str) -> anyhow::Result<Vec<String>> {
    let read = |text: &str| {
        let words: Vec<String> = text.split(',').map(|word| word.trim().to_owned()).collect();
        if words.iter().any(String::is_empty) { Err("an empty name") } else { Ok(words) }
    };
    Ok(table.get(key, read)?.unwrap_or_default())
}

fn project(text: &str) -> Result<String, &'static str> {
    if is_project_name(text) { Ok(text.to_owned()) } else { Err("this is no name for a project") }
}

fn data_set(text: &str) -> Result<tenant::Environment, &'static str> {
    tenant::Environment::parse(text).ok_or("it is live or test")
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Environment};
    use crate::failure::Report;

    fn load(file: &str, variables: &[(&str, &str)]) -> Result<Config, Report> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("openevent.toml");
        std::fs::write(&path, file).unwrap();
        let environment = Environment::from_pairs(variables.iter().copied());
        Config::load(Some(&path), &environment, Vec::new()).map_err(|error| Report::of(&error))
    }

    #[test]
    fn sources_are_tables_of_the_file() {
        let file = r#"
            [sources.orders]
            kind = "redis"
            url = "redis://127.0.0.1:6379/0"
            channels = ["orders", "payments.*"]
            streams = "a, b"
            environment = "test"
            [sources.other]
            kind = "redis"
            url_env = "OPENEVENT_OTHER"
            channels = "x"
            [sources.shop]
            kind = "postgres"
            url = "postgres://me:hush@10.0.0.2/shop"
            channels = "order_created"
            outbox = "openevent_outbox"
        "#;
        let config = load(file, &[("OPENEVENT_OTHER", "redis://me:hush@10.0.0.1/")]).unwrap();
        let shown: Vec<String> = config.sources.iter().map(|one| one.source.kind.to_string()).collect();
        assert_eq!(
            shown,
            [
                "redis at 127.0.0.1:6379, channels orders payments.*, streams a b (group openevent)",
                "redis at 10.0.0.1:6379, channels x",
                "postgres at 10.0.0.2:5432/shop, channels order_created, outbox openevent_outbox",
            ]
        );
        assert_eq!(config.sources[0].environment.as_str(), "test");
        assert!(config.warnings().is_empty(), "{:?}", config.warnings());
        assert!(!format!("{config:?}").contains("hush"));
    }

    #[test]
    fn a_variable_that_is_not_set_is_refused_at_start_only() {
        let file = "[sources.a]\nkind = \"redis\"\nurl_env = \"NOT_SET\"\nchannels = \"x\"";
        let config = load(file, &[]).unwrap();
        let report = Report::of(&config.check_start().unwrap_err());
        assert_eq!(report.what, "NOT_SET, which the source a needs, is not set");
    }

    #[test]
    fn what_is_wrong_with_a_source_is_told_with_its_place() {
        let redis = "kind = \"redis\"\nurl = \"redis://127.0.0.1/\"\n";
        let refused = |table: &str, members: &str| load(&format!("{table}\n{members}"), &[]).unwrap_err();

        let report = refused("[sources.a]", &format!("{redis}chanels = \"x\""));
        assert!(report.what.starts_with("unknown key `chanels` in [sources.a] in "), "{}", report.what);
        assert_eq!(report.hint.as_deref(), Some("did you mean `channels`?"));

        let report = refused("[sources.a]", "kind = \"redis\"\nurl = \"http://me:hush@x\"\nchannels = \"x\"");
        assert!(report.what.contains("redis://") && !report.what.contains("hush"), "{}", report.what);

        for (table, members, said) in [
            ("[sources.a]", "kind = \"kafka\"".to_owned(), "`kind` is redis, postgres or hook"),
            ("[sources.a]", "kind = \"redis\"".to_owned(), "one of `url` and `url_env`"),
            ("[sources.a]", redis.to_owned(), "neither channels nor streams"),
            ("[sources.a]", format!("{redis}channels = \"x\"\nname = \"a b\""), "`name`: may contain only"),
            ("[sources.a]", format!("{redis}channels = \"x\"\nenvironment = \"dev\""), "live or test"),
            (
                "[sources.a]",
                "kind = \"postgres\"\nurl = \"postgres://h/d\"\noutbox = \"a b\"".to_owned(),
                "`outbox`: a table's name",
            ),
            ("[sources.\"a b\"]", redis.to_owned(), "a source's name"),
            ("sources = 1", String::new(), "is no table"),
            ("[sources]", "a = 1".to_owned(), "is no table"),
        ] {
            let report = refused(table, &members);
            assert!(report.what.contains(said), "{said}: {}", report.what);
        }
    }
}
