//! Secrets on their way out and back.
//!
//! Invariant: a run sees stand-ins; only the server called sees values.
//! Not here: the whole way of a run (the engine's suite).

use super::{Bed, NOW, get, kind, tenant};
use crate::vault::{Secret, VaultError, rotate_key};
use openevent_domain::id::ProjectId;
use openevent_domain::tenant::{Environment, Tenant};
use openevent_flow::{Authentication, Call, HttpCall, HttpOutput};
use openevent_store::WriteSet;
use openevent_store::keys::Project;
use openevent_store::seal::KeyFile;
use openevent_testkit::{Answer, Receiver};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Answers what it was sent.
async fn mirror() -> Receiver {
    let receiver = Receiver::start().await;
    receiver.answer_with(|request, _| {
        let authorization = request.header("authorization").unwrap_or_default();
        let body = String::from_utf8_lossy(&request.body).into_owned();
        Answer::json(&json!({"target": request.target, "authorization": authorization, "body": body}))
            .header("x-key", request.header("x-key").unwrap_or_default())
    });
    receiver
}

fn with_everything(receiver: &Receiver, given: &Value) -> HttpCall {
    let (key, user) = (given["key"].as_str().unwrap(), given["account"]["username"].as_str().unwrap());
    let mut call = get(receiver.url(&format!("/?key={key}")), None);
    call.method = "POST".into();
    call.headers = vec![("X-Key".into(), format!("<{key}>"))];
    call.body = Some(json!({"nested": [{"k": key}], "user": user}));
    let password = given["account"]["password"].as_str().unwrap().to_owned();
    call.authentication = Some(Authentication::Basic { username: user.to_owned(), password });
    call
}

#[tokio::test]
async fn the_server_called_sees_values_and_the_run_stand_ins() {
    let (bed, receiver) = (Bed::new().await, mirror().await);
    bed.put("key", json!("k3y-value")).await;
    bed.put("account", json!({"username": "maria", "password": "hunter22"})).await;
    let given = bed.given(&["key", "account", "absent"]).await;

    let answer =
        bed.perform(Call::Http(with_everything(&receiver, &given)), Some(given.clone())).await.unwrap();

    let seen = &receiver.requests()[0];
    assert_eq!((seen.target.as_str(), seen.header("x-key")), ("/?key=k3y-value", Some("<k3y-value>")));
    assert_eq!(seen.json(), json!({"nested": [{"k": "k3y-value"}], "user": "maria"}));
    assert_eq!(given.get("absent"), None);
    let told = answer.to_string();
    let basic = super::super::http::base64(b"maria:hunter22");
    for value in ["k3y-value", "maria", "hunter22", &basic] {
        assert!(!told.contains(value), "{value} in {told}");
    }
    assert_eq!(answer["headers"]["x-key"], format!("<{}>", given["key"].as_str().unwrap()));
    assert_eq!(answer["authorization"], json!({"scheme": "Basic", "parameter": "***"}));
}

#[tokio::test]
async fn stand_ins_differ_from_run_to_run_and_are_worth_nothing_elsewhere() {
    let (bed, receiver) = (Bed::new().await, mirror().await);
    bed.put("key", json!("k3y-value")).await;
    let (mine, theirs) = (bed.given(&["key"]).await, bed.given(&["key"]).await);
    assert_ne!(mine, theirs);

    let mut call = get(receiver.url("/"), None);
    call.method = "POST".into();
    call.body = Some(theirs["key"].clone());
    bed.perform(Call::Http(call), Some(mine)).await.unwrap();

    assert_eq!(String::from_utf8_lossy(&receiver.requests()[0].body), theirs["key"].as_str().unwrap());
}

#[tokio::test]
async fn raw_content_is_searched_before_it_is_encoded() {
    let (bed, receiver) = (Bed::new().await, Receiver::start().await);
    receiver.answer_with(|_, _| Answer::status(200).body("it is k3y-value"));
    bed.put("key", json!("k3y-value")).await;
    let given = bed.given(&["key"]).await;

    let call = HttpCall { output: HttpOutput::Raw, ..get(receiver.url("/"), None) };
    let answer = bed.perform(Call::Http(call), Some(given.clone())).await.unwrap();

    let expected = format!("it is {}", given["key"].as_str().unwrap());
    assert_eq!(answer["raw"], super::super::http::base64(expected.as_bytes()));
}

#[tokio::test]
async fn a_secret_that_was_taken_away_stops_the_call() {
    let (bed, receiver) = (Bed::new().await, mirror().await);
    bed.put("key", json!("k3y-value")).await;
    let given = bed.given(&["key"]).await;
    bed.outside.vault.delete(WriteSet::new(), &tenant(), "key").await.unwrap();

    let call = get(receiver.url(&format!("/{}", given["key"].as_str().unwrap())), None);
    let fault = bed.perform(Call::Http(call), Some(given)).await.unwrap_err();

    assert_eq!((kind(&fault), fault.status, receiver.count()), ("authorization", 403, 0));
}

#[tokio::test]
async fn the_environment_speaks_for_the_default_project_and_what_is_put_wins() {
    let variables = [("MY_KEY", "from-env"), ("ACCOUNT", "{\"user\":\"me\"}")];
    let bed = Bed::with(super::Processes::default(), Duration::from_secs(1), &variables).await;
    let vault = &bed.outside.vault;
    let id = ProjectId::mint(NOW, bed.outside.chance.as_ref());
    let project = Project { id: id.clone(), name: "default".into(), created_at: NOW };
    // Asked before the project is there: nobody's.
    assert!(vault.get(&tenant(), "my-key").await.unwrap().is_none());
    let store = bed.another_store().await;
    store.ensure_project(project).await.unwrap();
    let live = Tenant::of(&id, Environment::Live);
    let text = async |tenant: &Tenant, name: &str, field: Option<&str>| {
        let secret = vault.get(tenant, name).await.unwrap();
        secret.and_then(|secret| secret.part(field).map(|text| text.expose_secret().to_owned()))
    };

    assert_eq!(text(&live, "my-key", None).await.as_deref(), Some("from-env"));
    assert_eq!(text(&live, "account", Some("user")).await.as_deref(), Some("me"));
    assert_eq!(text(&tenant(), "my-key", None).await, None);
    vault.put(WriteSet::new(), &live, "my-key", &Secret::of_json(&json!("put")).unwrap(), NOW).await.unwrap();
    assert_eq!(text(&live, "my-key", None).await.as_deref(), Some("put"));
    vault.delete(WriteSet::new(), &live, "my-key").await.unwrap();
    assert_eq!(text(&live, "my-key", None).await.as_deref(), Some("from-env"));
}

#[tokio::test]
async fn a_running_server_reads_secrets_under_a_key_that_was_rotated_meanwhile() {
    let bed = Bed::new().await;
    bed.put("a", json!("first")).await;
    bed.put("b", json!({"x": "second"})).await;
    let store = bed.another_store().await;
    let keys = KeyFile::at(bed.file.dir().join("openevent.key"));
    let before = keys.read().unwrap().unwrap().key_id().to_owned();

    let resealed = rotate_key(&store, &keys, bed.outside.chance.as_ref()).await.unwrap();

    assert_eq!(resealed, 2);
    let after = keys.read().unwrap().unwrap().key_id().to_owned();
    assert_eq!(store.secret_key_ids().await.unwrap(), std::slice::from_ref(&after));
    assert_ne!(before, after);
    bed.clock.0.fetch_add(2_000, Ordering::SeqCst);
    let secret = bed.outside.vault.get(&tenant(), "a").await.unwrap().unwrap();
    assert_eq!(secret.part(None).map(SecretString::expose_secret), Some("first"));
    bed.put("c", json!("third")).await;
    assert_eq!(store.secret_key_ids().await.unwrap(), [after]);
}

#[tokio::test]
async fn a_rotation_that_breaks_off_anywhere_loses_nothing() {
    let bed = Bed::new().await;
    for n in 0..3 {
        bed.put(&format!("s{n}"), json!(format!("value {n}"))).await;
    }
    let keys = KeyFile::at(bed.file.dir().join("openevent.key"));
    for n in 1.. {
        let store = bed.another_store().await;
        // Refused before it was done, or done and not answered.
        if n % 2 == 0 {
            store.faults().arm(n / 2);
        } else {
            store.faults().arm_answer((n + 1) / 2);
        }
        let done = rotate_key(&store, &keys, bed.outside.chance.as_ref()).await;

        bed.clock.0.fetch_add(2_000, Ordering::SeqCst);
        for n in 0..3 {
            let secret = bed.outside.vault.get(&tenant(), &format!("s{n}")).await.unwrap().unwrap();
            let text = secret.part(None).map(|text| text.expose_secret().to_owned());
            assert_eq!(text, Some(format!("value {n}")));
        }
        if n % 2 == 0 && store.faults().is_armed() {
            assert_eq!(done.unwrap(), 3);
            return;
        }
    }
}

#[tokio::test]
async fn a_lost_key_file_is_not_replaced_by_another() {
    let bed = Bed::new().await;
    bed.put("a", json!("first")).await;
    std::fs::remove_file(bed.file.dir().join("openevent.key")).unwrap();

    let secret = Secret::of_json(&json!("second")).unwrap();
    let put = bed.outside.vault.put(WriteSet::new(), &tenant(), "b", &secret, NOW).await;

    assert!(matches!(put, Err(VaultError::KeysLost)));
}
