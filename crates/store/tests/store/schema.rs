//! Statements and migrations.
//!
//! Invariant: what one database reads, the other reads too.
//! Not here: what the tables hold.

use crate::support::{Bed, NOW, on_both, open};
use openevent_store::{Dialect, Location, Owner, migration_names};
use openevent_testkit::{postgres_url, temp_sqlite};
use tokio::task::JoinSet;

#[tokio::test]
async fn every_statement_is_read_by_the_database() {
    on_both(async |bed| {
        let refused = bed.store.refused_statements().await.unwrap();

        assert_eq!(refused, Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn both_databases_have_every_migration_by_the_same_name() {
    on_both(async |bed| {
        let doctor = bed.store.doctor().await.unwrap();

        assert_eq!(doctor.applied, migration_names());
        assert!(doctor.missing.is_empty() && doctor.damage.is_empty(), "{doctor:?}");
        let brand = if bed.store.dialect() == Dialect::Sqlite { "SQLite 3" } else { "PostgreSQL 1" };
        assert!(doctor.version.starts_with(brand), "{}", doctor.version);
    })
    .await;
}

#[tokio::test]
async fn a_database_opens_again_with_what_it_holds() {
    on_both(async |bed| {
        crate::support::store_signals(&bed.store, [crate::support::signal("order.created", NOW)]).await;

        let again = bed.another().await;

        assert_eq!(again.signals_last().await.unwrap(), 1);
        assert_eq!(again.doctor().await.unwrap().applied, migration_names());
    })
    .await;
}

/// Opens one fresh database from many sides at one time.
async fn race(location: Location) {
    let owner = Owner::default();
    let mut opening = JoinSet::new();
    for _ in 0..6 {
        let (location, owner) = (location.clone(), owner.clone());
        opening.spawn(async move { open(location, &owner).await });
    }

    let stores = opening.join_all().await;

    for store in stores {
        let doctor = store.expect("every opener succeeds").doctor().await.expect("an answer");
        assert_eq!(doctor.applied, migration_names());
    }
    owner.stop.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn nodes_that_open_one_new_server_database_together_all_succeed() {
    let database = postgres_url().await;

    race(Location::Server(database.url().to_owned())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn processes_that_open_one_new_file_together_all_succeed() {
    let file = temp_sqlite();

    race(Location::File(file.path())).await;
}

#[tokio::test]
async fn a_url_that_is_none_is_refused() {
    let refused = open(Location::Server("postgres://[".into()), &Owner::default()).await;

    assert!(matches!(refused, Err(openevent_store::Error::Refused(_))));
}

#[tokio::test]
async fn a_file_in_a_folder_that_is_not_there_is_unavailable() {
    let file = temp_sqlite();

    let away = open(Location::File(file.dir().join("no/such/folder.db")), &Owner::default()).await;

    assert!(away.is_err_and(|cause| cause.is_unavailable()));
}

#[tokio::test]
async fn a_store_says_where_it_is() {
    let bed = Bed::sqlite().await;

    let location = bed.store.location().clone();

    assert_eq!(location, bed.location());
    bed.store.ping().await.unwrap();
}
