//! Databases come and go with their guards.

use openevent_testkit::{ChaosProxy, postgres_url, temp_sqlite};
use tokio_postgres::{Client, NoTls};

/// A client whose connection is driven until the client is dropped.
async fn connected(url: &str, tasks: &mut tokio::task::JoinSet<()>) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tasks.spawn(async move {
        // Ends with the client, or with the server.
        let _ = connection.await;
    });
    Ok(client)
}

#[test]
fn sqlite_files_have_a_directory_each_that_goes_with_them() {
    let (one, two) = (temp_sqlite(), temp_sqlite());
    let dir = one.dir().to_owned();

    std::fs::write(one.path(), b"x").unwrap();
    assert_ne!(one.path(), two.path());
    drop(one);

    assert!(!dir.exists());
}

#[tokio::test]
async fn a_postgres_database_is_empty_at_first_and_gone_at_last() {
    let mut tasks = tokio::task::JoinSet::new();
    let (one, two) = (postgres_url().await, postgres_url().await);
    let client = connected(one.url(), &mut tasks).await.unwrap();
    client.batch_execute("CREATE TABLE t (id bigint)").await.unwrap();

    let other = connected(two.url(), &mut tasks).await.unwrap();
    let absent = other.query("SELECT 1 FROM t", &[]).await;
    let (url, name) = (one.url().to_owned(), one.name().to_owned());
    drop(one);

    assert!(absent.is_err());
    assert!(connected(&url, &mut tasks).await.is_err());
    let left = other.query("SELECT 1 FROM pg_database WHERE datname = $1", &[&name]).await.unwrap();
    assert!(left.is_empty());
}

#[tokio::test]
async fn a_postgres_database_is_reached_through_a_proxy() {
    let mut tasks = tokio::task::JoinSet::new();
    let database = postgres_url().await;
    let proxy = ChaosProxy::start(database.server_address().await).await;
    let client = connected(&database.url_through(proxy.address()), &mut tasks).await.unwrap();

    let row = client.query_one("SELECT current_database()::text", &[]).await.unwrap();
    proxy.cut().await;

    assert_eq!(row.get::<_, String>(0), database.name());
    assert!(client.query_one("SELECT 1", &[]).await.is_err());
}
