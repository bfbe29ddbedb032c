//! `users`, `projects`, `members`, and the link `serve` prints while there is no admin.
//!
//! Invariant: no command prints a password or its hash, and no file holds one.

use crate::support::{BINARY, Ended, Place};
use openevent_testkit::{HttpClient, ServerCommand, until};
use serde_json::json;

const PASSWORD: &str = "correct horse battery";

fn create(place: &Place, email: &str, more: &[&str]) -> Ended {
    let args = [&["users", "create", "--email", email, "--password-stdin", "--json"], more].concat();
    place.run_reading(&args, &format!("{PASSWORD}\n"))
}

#[test]
fn an_account_is_made_listed_disabled_and_deleted_without_a_password_being_shown() {
    let place = Place::new();

    let made = create(&place, "Ada@example.org", &["--admin"]);
    let twice = create(&place, "ada@EXAMPLE.org", &[]);
    let last = place.run(&["users", "disable", "ada@example.org"]);
    create(&place, "bob@example.org", &["--admin"]);
    let disabled = place.run(&["users", "disable", "ADA@example.org", "--json"]);
    let enabled = place.run(&["users", "enable", made.json()["id"].as_str().unwrap(), "--json"]);
    let changed = place
        .run_reading(&["users", "set-password", "bob@example.org", "--password-stdin"], "another horse\n");
    let deleted = place.run(&["users", "delete", "bob@example.org", "--json"]);
    let listed = place.run(&["users", "list", "--json"]);

    assert_eq!((&made.json()["email"], &made.json()["isAdmin"]), (&json!("Ada@example.org"), &json!(true)));
    assert_eq!(twice.code, Some(1), "{twice:?}");
    assert!(last.code == Some(1) && last.stderr.contains("last admin"), "{last:?}");
    assert_eq!((&disabled.json()["disabled"], &enabled.json()["disabled"]), (&json!(true), &json!(false)));
    assert_eq!((changed.code, &deleted.json()["deleted"]), (Some(0), &json!(true)));
    assert_eq!(listed.json().as_array().unwrap().len(), 1);
    for ended in [made, twice, last, disabled, enabled, changed, deleted, listed] {
        for word in [PASSWORD, "another horse", "argon2"] {
            assert!(!ended.stdout.contains(word) && !ended.stderr.contains(word), "{ended:?}");
        }
    }
    for file in ["openevent.db", "openevent.db-wal"] {
        let bytes = std::fs::read(place.path(&format!("data/{file}"))).unwrap_or_default();
        assert!(!bytes.windows(PASSWORD.len()).any(|part| part == PASSWORD.as_bytes()), "{file}");
    }
}

#[test]
fn what_makes_no_account_is_refused_before_anything_is_made() {
    let place = Place::new();

    let short =
        place.run_reading(&["users", "create", "--email", "a@example.org", "--password-stdin"], "short\n");
    let nobody = create(&place, "nobody", &[]);
    let without = place.run(&["users", "create", "--email", "a@example.org"]);

    for ended in [short, nobody, without] {
        assert_eq!((ended.code, ended.stderr.lines().count()), (Some(2), 1), "{ended:?}");
    }
    assert!(!place.path("data").exists());
}

#[test]
fn members_of_a_project_come_change_and_go() {
    let place = Place::new();
    create(&place, "ada@example.org", &[]);
    let project = place.run(&["projects", "create", "acme", "--json"]);
    let add = |role| {
        let args =
            ["members", "add", "--project", "acme", "--email", "ada@example.org", "--role", role, "--json"];
        place.run(&args)
    };
    let list = || place.run(&["members", "list", "--project", "acme", "--json"]).json();

    let (first, second) = (add("viewer"), add("owner"));
    let members = list();
    let last = place.run(&["members", "remove", "--project", "acme", "--email", "ada@example.org"]);
    create(&place, "bob@example.org", &[]);
    place.run(&["members", "add", "--project", "acme", "--email", "bob@example.org", "--role", "owner"]);
    let removed =
        place.run(&["members", "remove", "--project", "acme", "--email", "ada@example.org", "--json"]);

    assert_eq!(
        (&project.json()["name"], place.run(&["projects", "create", "acme"]).code),
        (&json!("acme"), Some(1))
    );
    assert_eq!((&first.json()["role"], &second.json()["role"]), (&json!("viewer"), &json!("owner")));
    assert_eq!((members.as_array().unwrap().len(), &members[0]["role"]), (1, &json!("owner")));
    assert!(last.code == Some(1) && last.stderr.contains("last owner"), "{last:?}");
    assert_eq!((&removed.json()["deleted"], &list()[0]["email"]), (&json!(true), &json!("bob@example.org")));
    assert_eq!(place.run(&["members", "list", "--project", "nothing"]).code, Some(1));
}

#[tokio::test]
async fn the_server_prints_a_link_until_there_is_an_admin() {
    let place = Place::new();
    let server = ServerCommand::new(BINARY).arg("--data-dir").arg(place.path("data"));
    let server = server.arg("--workflows").arg(place.path("workflows"));

    let mut first = server.start().await;
    let link = until("the link is printed", async || {
        let text = first.stderr();
        text.split_whitespace().find(|word| word.contains("/setup/")).map(str::to_owned)
    })
    .await;
    let page = HttpClient::new().get(&link, &[]).await;
    let stdout = first.stdout();
    let line = format!("listening on {}", first.base_url());
    first.terminate();
    first.wait().await;
    create(&place, "ada@example.org", &["--admin"]);
    let mut second = server.start().await;
    second.terminate();
    second.wait().await;

    assert!(link.starts_with("http://127.0.0.1:") && page.status == 200, "{link}");
    assert_eq!(stdout, line);
    assert!(!second.stderr().contains("/setup/"), "{}", second.stderr());
}
