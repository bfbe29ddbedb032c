//! Tests of the configuration as a whole: which layer wins, what is refused and what never shows.
//!
//! Invariant: no test looks at the process's own environment or working directory.

use super::*;
use crate::failure::{Exit, Report};

fn load(file: &str, variables: &[(&str, &str)], flags: Vec<Flag>) -> Result<Config, Report> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("openevent.toml");
    std::fs::write(&path, file).unwrap();
    let environment = Environment::from_pairs(variables.iter().copied());
    Config::load(Some(&path), &environment, flags).map_err(|error| Report::of(&error))
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let config = load("", &[], Vec::new()).unwrap();
    assert_eq!((config.listen.to_string().as_str(), config.development()), ("127.0.0.1:8080", true));
    assert_eq!(
        (config.webhooks.retry_ms.as_slice(), config.webhooks.timeout_ms),
        (&[60_000, 300_000, 1_800_000, 3_600_000][..], 15_000)
    );
    assert_eq!((config.listen_lookback_ms, config.retention_ms), (60_000, Some(2_592_000_000)));
    assert_eq!(config.location(), Location::File("data/openevent.db".into()));
    assert!(config.warnings().is_empty() && config.check_start().is_ok());
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let file = "listen = \"127.0.0.1:1\"\ndata_dir = \"file\"\nretention = \"1d\"";
    let variables = [("OPENEVENT_LISTEN", "127.0.0.1:2"), ("OPENEVENT_DATA_DIR", "env")];
    let flag = Flag { name: "--listen", key: "listen", value: "127.0.0.1:3".into() };
    let config = load(file, &variables, vec![flag]).unwrap();
    assert_eq!(
        (config.listen.port(), config.data_dir.to_str(), config.retention_ms),
        (3, Some("env"), Some(86_400_000))
    );
}

#[test]
fn an_unknown_key_is_refused_with_its_file() {
    let report = load("listn = \"127.0.0.1:1\"", &[], Vec::new()).unwrap_err();
    assert!(
        report.what.starts_with("unknown key `listn` in ") && report.what.ends_with("openevent.toml"),
        "{}",
        report.what
    );
    assert_eq!((report.hint.as_deref(), report.exit), (Some("did you mean `listen`?"), Exit::Usage));
}

#[test]
fn a_bad_value_is_refused_with_its_place() {
    let report = load("webhook_timeout = 15", &[], Vec::new()).unwrap_err();
    assert!(
        report.what.starts_with("`webhook_timeout` in ") && report.what.contains("`15` is not a duration"),
        "{}",
        report.what
    );
    let report = load("", &[("OPENEVENT_EGRESS_ALLOW", "10.0.0.0/8,ten")], Vec::new()).unwrap_err();
    assert!(report.what.starts_with("environment variable OPENEVENT_EGRESS_ALLOW "), "{}", report.what);
    let report = load("listen = ", &[], Vec::new()).unwrap_err();
    assert!(report.what.contains("is not TOML") && !report.what.contains('\n'), "{}", report.what);
}

#[test]
fn an_unknown_variable_is_a_warning() {
    let config = load("", &[("OPENEVENT_LISTN", "x")], Vec::new()).unwrap();
    assert!(config.warnings()[0].contains("OPENEVENT_LISTN"));
}

#[test]
fn lists_in_the_file_are_lists() {
    let config = load(
        "egress_allow = [\"10.0.0.0/8\", \"127.0.0.1\"]\nwebhook_retry_schedule = [\"1s\", \"2s\"]",
        &[],
        Vec::new(),
    )
    .unwrap();
    assert_eq!((config.egress.allow.len(), config.webhooks.retry_ms), (2, vec![1_000, 2_000]));
}

#[test]
fn a_proxy_shows_without_its_credentials() {
    let proxy = [("OPENEVENT_EGRESS_PROXY", "http://me:hush@proxy.corp:3128")];
    let config = load("egress_no_proxy = [\".corp\", \"10.0.0.0/8\"]", &proxy, Vec::new()).unwrap();
    let shown = config.shown();
    assert_eq!(
        (shown["egress_proxy"].as_str(), shown["egress_no_proxy"].as_str()),
        ("http://***@proxy.corp:3128", ".corp,10.0.0.0/8")
    );
    assert!(!format!("{config:?} {shown:?}").contains("hush"));
    assert!(config.egress.setup().proxy.is_some());
}

#[test]
fn a_bad_proxy_is_refused_with_its_place_and_without_its_password() {
    let refused = |variable, text| load("", &[(variable, text)], Vec::new()).unwrap_err().what;
    let proxy = refused("OPENEVENT_EGRESS_PROXY", "socks5://me:hush@proxy.corp:1080");
    assert!(proxy.starts_with("environment variable OPENEVENT_EGRESS_PROXY is not usable: "), "{proxy}");
    assert!(proxy.contains("http://proxy.example.org:3128") && !proxy.contains("hush"), "{proxy}");
    let exempt = refused("OPENEVENT_EGRESS_NO_PROXY", "a.test,*");
    assert!(exempt.contains("OPENEVENT_EGRESS_NO_PROXY") && exempt.contains("\"*\""), "{exempt}");
}

#[test]
fn a_bad_file_of_authorities_is_refused_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    let path = path.to_str().unwrap();
    let refused = || load("", &[("OPENEVENT_EGRESS_CA_FILE", path)], Vec::new()).unwrap_err().what;
    let missing = refused();
    std::fs::write(path, "no PEM").unwrap();
    let empty = refused();
    std::fs::write(path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let broken = refused();
    for (what, expected) in
        [(missing, "cannot be read"), (empty, "there is no certificate"), (broken, "its certificate 1 ")]
    {
        let begins = what.starts_with("environment variable OPENEVENT_EGRESS_CA_FILE is not usable: ");
        assert!(begins && what.contains(path) && what.contains(expected), "{what}");
    }
}

#[test]
fn a_token_like_a_key_is_refused_at_start_only() {
    let config = load("", &[("COMPOZY_API_TOKEN", "oe_live_abc")], Vec::new()).unwrap();
    let report = Report::of(&config.check_start().unwrap_err());
    assert!(report.what.contains("COMPOZY_API_TOKEN") && !report.what.contains("oe_live_abc"));
}

#[test]
fn an_open_address_without_a_token_is_a_warning() {
    let open = [("OPENEVENT_LISTEN", "0.0.0.0:8080")];
    assert!(load("", &open, Vec::new()).unwrap().warnings()[0].contains("only API keys"));
    let closed = [open[0], ("COMPOZY_API_TOKEN", "0123")];
    let config = load("", &closed, Vec::new()).unwrap();
    assert!(config.warnings().is_empty());
    assert_eq!(config.api_token.as_ref().map(ExposeSecret::expose_secret), Some("0123"));
}

#[test]
fn printing_a_configuration_shows_no_secret() {
    let variables = [("COMPOZY_API_TOKEN", "hush"), ("DATABASE_URL", "postgres://me:hush@127.0.0.1/x")];
    let config = load("", &variables, Vec::new()).unwrap();
    assert!(!format!("{config:?}").contains("hush"));
    assert!(matches!(config.location(), Location::Server(_)));
}

#[test]
fn what_is_shown_reads_back_as_it_is_but_for_secrets() {
    let variables =
        [("COMPOZY_API_TOKEN", "hush"), ("OPENEVENT_RETENTION", "7d"), ("OPENEVENT_LOG", "debug")];
    let config = load("", &variables, Vec::new()).unwrap();
    let shown = config.shown();
    let keys: Vec<_> = shown.keys().copied().collect();
    assert!(keys.iter().all(|key| layers::KEYS.contains(key)), "{keys:?}");
    let readable = shown.iter().filter(|(key, value)| **key != "api_token" && !value.is_empty());
    let lines: Vec<String> = readable.map(|(key, value)| format!("{key} = \"{value}\"")).collect();
    let again = load(&lines.join("\n"), &variables[..1], Vec::new()).unwrap();
    assert_eq!(again.shown(), shown);
    assert_eq!((again.retention_ms, shown["api_token"].as_str()), (Some(604_800_000), "(set)"));
}

#[test]
fn a_file_that_was_asked_for_has_to_be_there() {
    let missing = Path::new("/nonexistent/openevent.toml");
    let report = Report::of(&Config::load(Some(missing), &Environment::default(), Vec::new()).unwrap_err());
    assert!(report.what.starts_with("cannot read /nonexistent/openevent.toml"), "{}", report.what);
}

#[test]
fn a_table_is_another_way_to_write_keys_with_its_name() {
    let config = load("[run]\nshell = true", &[("OPENEVENT_RUN_SCRIPT", "1")], Vec::new()).unwrap();
    assert!(config.processes.shell && config.processes.script);
    let report = load("[run]\nshel = true", &[], Vec::new()).unwrap_err();
    assert_eq!(report.hint.as_deref(), Some("did you mean `run_shell`?"));
    assert_eq!(load("", &[], Vec::new()).unwrap().processes, Processes::default());
}

#[test]
fn the_key_file_is_in_the_data_directory_unless_it_is_named() {
    let at = |variables: &[(&str, &str)]| load("data_dir = \"d\"", variables, Vec::new()).unwrap().key_file;
    assert_eq!(at(&[]), PathBuf::from("d/openevent.key"));
    assert_eq!(at(&[("OPENEVENT_KEY_FILE", "/run/keys")]), PathBuf::from("/run/keys"));
}

#[test]
fn secrets_of_the_environment_are_neither_shown_nor_complained_of() {
    let config = load("", &[("OPENEVENT_SECRET_KEY", "hush")], Vec::new()).unwrap();
    assert!(config.warnings().is_empty() && config.secrets.contains_key("KEY"));
    assert!(!format!("{config:?}").contains("hush") && !format!("{:?}", config.shown()).contains("hush"));
}
