//! Two versions on one database: what a migration may do, and who may start after it.
//!
//! Invariant: a statement that the version before could run, it can run after the migration too.
//! Not here: what the tables hold (each feature's tests).

use crate::support::{NOW, open};
use openevent_store::{Error, Location, Owner, Store, migration_names};
use openevent_testkit::{PostgresDatabase, SqliteFile, postgres_url, temp_sqlite};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use tokio_postgres::NoTls;

/// The first migration that has to keep to the rule is the one after this.
const FREE_UNTIL: &str = "0013_search";
/// Functions of triggers that fail no statement: they add to a table of their own what is not there yet.
const HARMLESS: [&str; 2] = ["search_words_added()", "search_words_changed()"];
const HISTORY: &str = "CREATE TABLE schema_migrations (name TEXT PRIMARY KEY, applied_at BIGINT NOT NULL)";

/// A database without a store on it.
enum Bare {
    Sqlite(SqliteFile),
    Postgres(PostgresDatabase),
}

/// What a column takes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Column {
    kind: String,
    may_be_left_out: bool,
}

/// What statements meet.
#[derive(Clone, Debug, Default)]
struct Schema {
    columns: BTreeMap<(String, String), Column>,
    /// Keys, unique indexes, constraints and triggers, with the tables they are of.
    demands: BTreeSet<(String, String)>,
}

impl Bare {
    async fn both() -> [Self; 2] {
        let both = [Self::Sqlite(temp_sqlite()), Self::Postgres(postgres_url().await)];
        for bare in &both {
            bare.run(HISTORY).await;
        }
        both
    }

    fn location(&self) -> Location {
        match self {
            Self::Sqlite(file) => Location::File(file.path()),
            Self::Postgres(database) => Location::Server(database.url().to_owned()),
        }
    }

    async fn run(&self, sql: &str) {
        match self {
            Self::Postgres(database) => database.run(sql).await,
            Self::Sqlite(file) => rusqlite::Connection::open(file.path())
                .and_then(|connection| connection.execute_batch(sql))
                .expect("the statements run"),
        }
    }

    async fn migrate(&self, name: &str) {
        let folder = match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        };
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/migrations/{folder}/{name}.sql"));
        let body = std::fs::read_to_string(path).expect("the migration");
        self.run(&format!("{body}\n;INSERT INTO schema_migrations (name, applied_at) VALUES ('{name}', 1);"))
            .await;
    }

    async fn open(&self, owner: &Owner) -> Result<Store, Error> {
        open(self.location(), owner).await
    }

    async fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        match self {
            Self::Postgres(database) => postgres_rows(database, sql).await,
            Self::Sqlite(file) => sqlite_rows(file, sql).expect("rows"),
        }
    }

    /// The schema as the database tells it.
    async fn schema(&self) -> Schema {
        let (columns, demands) = match self {
            Self::Sqlite(_) => (
                "SELECT t.name, c.name, c.type, CASE WHEN c.\"notnull\" = 0 OR c.dflt_value IS NOT NULL THEN 1 ELSE 0 END \
                 FROM sqlite_master t JOIN pragma_table_info(t.name) c WHERE t.type = 'table' AND t.sql NOT LIKE '%VIRTUAL%'",
                "SELECT tbl_name, sql FROM sqlite_master WHERE sql LIKE 'CREATE UNIQUE%' OR type = 'trigger'",
            ),
            Self::Postgres(_) => (
                "SELECT table_name::text, column_name::text, data_type::text, CASE WHEN is_nullable = 'YES' OR \
                 column_default IS NOT NULL OR is_identity = 'YES' OR is_generated = 'ALWAYS' THEN '1' ELSE '0' END \
                 FROM information_schema.columns WHERE table_schema = 'public'",
                "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint \
                 WHERE connamespace = 'public'::regnamespace UNION SELECT tablename::text, indexdef FROM pg_indexes \
                 WHERE schemaname = 'public' AND indexdef LIKE 'CREATE UNIQUE%' UNION SELECT tgrelid::regclass::text, \
                 pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
            ),
        };
        let columns = self.rows(columns).await.into_iter().map(|row| {
            let [table, name, kind, free] = row.try_into().expect("four columns");
            ((table, name), Column { kind, may_be_left_out: free == "1" })
        });
        let columns = columns.collect();
        let demands = self.rows(demands).await.into_iter();
        Schema { columns, demands: demands.map(|mut row| (row.remove(0), row.remove(0))).collect() }
    }
}

fn sqlite_rows(file: &SqliteFile, sql: &str) -> rusqlite::Result<Vec<Vec<String>>> {
    let connection = rusqlite::Connection::open(file.path())?;
    let mut statement = connection.prepare(sql)?;
    let width = statement.column_count();
    let text = |value: rusqlite::types::Value| match value {
        rusqlite::types::Value::Integer(int) => int.to_string(),
        rusqlite::types::Value::Text(text) => text,
        other => panic!("{other:?}"),
    };
    statement.query_map([], |row| (0..width).map(|n| row.get(n).map(text)).collect())?.collect()
}

async fn postgres_rows(database: &PostgresDatabase, sql: &str) -> Vec<Vec<String>> {
    let (client, connection) = tokio_postgres::connect(database.url(), NoTls).await.expect("a connection");
    let asking = async {
        let rows = client.query(sql, &[]).await.expect("rows");
        drop(client);
        rows
    };
    let (rows, _) = tokio::join!(asking, connection);
    rows.iter().map(|row| (0..row.len()).map(|n| row.get(n)).collect()).collect()
}

impl Schema {
    fn has_table(&self, table: &str) -> bool {
        self.columns.keys().any(|(known, _)| known == table)
    }

    /// Whether a text names a column that the table has.
    fn names_a_column(&self, table: &str, text: &str) -> bool {
        let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let mut words = text.split(|letter| !is_word(letter));
        words.any(|word| self.columns.contains_key(&(table.to_owned(), word.to_owned())))
    }

    /// What a statement for this schema could fail at after it has become another.
    fn broken_by(&self, after: &Self) -> Vec<String> {
        let mut broken = Vec::new();
        for (place, column) in &self.columns {
            match after.columns.get(place) {
                None => broken.push(format!("{place:?} is gone")),
                Some(now) if now.kind != column.kind => broken.push(format!("{place:?} is of another type")),
                Some(now) if column.may_be_left_out && !now.may_be_left_out => {
                    broken.push(format!("{place:?} has to be given now"));
                }
                Some(_) => {}
            }
        }
        for (place, column) in &after.columns {
            let is_new = !self.columns.contains_key(place) && self.has_table(&place.0);
            if is_new && !column.may_be_left_out {
                broken.push(format!("{place:?} is new and has to be given"));
            }
        }
        let gone = self.demands.difference(&after.demands).map(|demand| format!("{demand:?} is gone"));
        broken.extend(gone);
        let new = after.demands.difference(&self.demands).filter(|(table, text)| {
            let is_of_new_columns = text.starts_with("CHECK") && !self.names_a_column(table, text);
            let is_harmless = HARMLESS.iter().any(|function| text.ends_with(function));
            self.has_table(table) && !is_of_new_columns && !is_harmless
        });
        broken.extend(new.map(|demand| format!("{demand:?} is asked of what was there")));
        broken
    }
}

#[tokio::test]
async fn a_migration_breaks_no_statement_of_the_version_before() {
    for bare in Bare::both().await {
        let mut before = Schema::default();
        for name in migration_names() {
            bare.migrate(name).await;
            let after = bare.schema().await;
            let broken = before.broken_by(&after);
            assert!(name <= FREE_UNTIL || broken.is_empty(), "{name}: {broken:#?}");
            before = after;
        }
        assert!(before.columns.len() > 100 && before.has_table("runs"));
    }
}

#[tokio::test]
async fn a_migration_that_would_break_one_is_seen() {
    const BREAKING: [&str; 6] = [
        "ALTER TABLE a RENAME COLUMN free TO other",
        "ALTER TABLE a DROP COLUMN free",
        "ALTER TABLE a ADD COLUMN new BIGINT NOT NULL DEFAULT 0; DROP TABLE b",
        "CREATE UNIQUE INDEX a_free ON a (free)",
        "DROP INDEX b_name",
        "DROP TABLE b; CREATE TABLE b (name TEXT, given TEXT NOT NULL); CREATE UNIQUE INDEX b_name ON b (name)",
    ];
    for breaking in BREAKING {
        for bare in Bare::both().await {
            bare.run("CREATE TABLE a (id TEXT PRIMARY KEY, free TEXT); CREATE TABLE b (name TEXT)").await;
            bare.run("CREATE UNIQUE INDEX b_name ON b (name)").await;
            let before = bare.schema().await;
            bare.run("ALTER TABLE a ADD COLUMN more BIGINT DEFAULT 1 CHECK (more > 0); CREATE TABLE c (id TEXT NOT NULL)").await;
            let harmless = bare.schema().await;
            bare.run(breaking).await;
            let after = bare.schema().await;

            assert_eq!(before.broken_by(&harmless), Vec::<String>::new());
            assert!(!harmless.broken_by(&after).is_empty(), "{breaking}");
        }
    }
}

#[tokio::test]
async fn a_database_of_an_earlier_version_is_brought_up_to_date_with_what_it_holds() {
    for behind in 1..=3 {
        for bare in Bare::both().await {
            let names = migration_names();
            for name in &names[..names.len() - behind] {
                bare.migrate(name).await;
            }
            bare.run(&format!(
                "INSERT INTO rate_counts (subject, window_start, calls) VALUES ('a', {NOW}, 7)"
            ))
            .await;
            let owner = Owner::default();

            let store = bare.open(&owner).await.expect("an earlier version's database opens");

            assert_eq!(store.doctor().await.unwrap().applied, names);
            assert_eq!(store.counts(NOW).await.unwrap()[0].calls, 7);
            assert_eq!(store.refused_statements().await.unwrap(), Vec::<String>::new());
            owner.stop.cancel();
        }
    }
}

#[tokio::test]
async fn a_later_version_s_migration_stops_nobody_unless_it_is_required() {
    for bare in Bare::both().await {
        let owner = Owner::default();
        drop(bare.open(&owner).await.expect("a fresh database opens"));
        bare.run("INSERT INTO schema_migrations (name, applied_at) VALUES ('9999_later', 1)").await;

        let beside = bare.open(&owner).await;
        bare.run("UPDATE schema_migrations SET required = 1 WHERE name = '0014_rate_leases'").await;
        let known = bare.open(&owner).await;
        bare.run("UPDATE schema_migrations SET required = 1 WHERE name = '9999_later'").await;
        let unknown = bare.open(&owner).await;

        assert!(beside.is_ok() && known.is_ok());
        assert!(matches!(unknown, Err(Error::Newer { migration }) if migration == "9999_later"));
        owner.stop.cancel();
    }
}
