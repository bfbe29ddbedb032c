//! `webhooks list|create|stats|rotate|deliveries|redeliver|skip|test|recover|verify`.
//!
//! Invariant: a secret is printed once, by the command that made it; `verify` needs no server.
//! Not here: sending.

use crate::args::{Remote as Flags, Webhooks};
use crate::config::{Config, Environment};
use crate::failure::{explain, failed, usage};
use crate::output::{Output, Style, clean, columns};
use crate::remote::{Body, Remote};
use http::Method;
use openevent_domain::api_key::equal;
use openevent_domain::webhook::Signer;
use serde_json::{Value, json};
use std::io::Read as _;

/// Runs one of them.
pub(crate) async fn run(
    webhooks: Webhooks,
    config: &Config,
    environment: &Environment,
    output: Output,
) -> anyhow::Result<()> {
    let to = |flags: &Flags| Remote::new(flags, config, environment);
    match webhooks {
        Webhooks::List { remote } => list(&to(&remote)?, output).await,
        Webhooks::Create {
            name,
            target,
            events,
            filter,
            fifo_key,
            rate_per_second,
            max_concurrency,
            remote,
        } => {
            let body = json!({
                "name": name, "url": target, "events": events, "filter": filter, "fifoKey": fifo_key,
                "ratePerSecond": rate_per_second, "maxConcurrency": max_concurrency,
            });
            made(&to(&remote)?, &["webhooks"], Some(&body), output).await
        }
        Webhooks::Stats { id, remote } => stats(&to(&remote)?, &id, output).await,
        Webhooks::Rotate { id, remote } => {
            made(&to(&remote)?, &["webhooks", &id, "rotate"], None, output).await
        }
        Webhooks::Deliveries { id, status, remote } => {
            deliveries(&to(&remote)?, &id, status.as_deref(), output).await
        }
        Webhooks::Redeliver { id, delivery, remote } => {
            act(&to(&remote)?, &["webhooks", &id, "deliveries", &delivery, "redeliver"], output).await
        }
        Webhooks::Skip { id, delivery, remote } => {
            act(&to(&remote)?, &["webhooks", &id, "deliveries", &delivery, "skip"], output).await
        }
        Webhooks::Test { id, remote } => {
            let answer = to(&remote)?.ask(Method::POST, &["webhooks", &id, "test"], &[], None).await?;
            output.answer(&answer, || format!("due {}", text(&answer["data"], "id")))
        }
        Webhooks::Recover { id, since, dry_run, remote } => {
            let (since, dry) = (since.to_string(), dry_run.to_string());
            let query = [("since", since.as_str()), ("dryRun", dry.as_str())];
            let answer = to(&remote)?.ask(Method::POST, &["webhooks", &id, "recover"], &query, None).await?;
            output.answer(&answer, || format!("{} deliveries", answer["data"]["recovered"]))
        }
        Webhooks::Verify { secret, timestamp, signature, id, body } => {
            verify(&Claim { secret, timestamp, signature, id }, body.as_deref(), output)
        }
    }
}

fn text(object: &Value, name: &str) -> String {
    clean(object[name].as_str().unwrap_or_default())
}

async fn list(remote: &Remote, output: Output) -> anyhow::Result<()> {
    let answer = remote.get(&["webhooks"], &[("limit", "100")]).await?;
    output.answer(&answer, || {
        let row = |webhook: &Value| {
            let events = webhook["events"].as_array().map(Vec::as_slice).unwrap_or_default();
            let events: Vec<_> = events.iter().filter_map(Value::as_str).collect();
            vec![
                text(webhook, "id"),
                text(webhook, "status"),
                text(webhook, "name"),
                text(webhook, "url"),
                clean(&events.join(",")),
            ]
        };
        let rows: Vec<_> = answer["data"].as_array().into_iter().flatten().map(row).collect();
        columns(&rows)
    })
}

async fn made(remote: &Remote, path: &[&str], body: Option<&Value>, output: Output) -> anyhow::Result<()> {
    let body = body.map(|body| Body { media: "application/json", bytes: body.to_string().into() });
    let answer = remote.ask(Method::POST, path, &[], body).await?;
    output.answer(&answer, || {
        let data = &answer["data"];
        let shown_once =
            output.paint(Style::Dim, "the secret is shown once: keep it where the receiver finds it");
        format!("{}\n{}\n{shown_once}", text(data, "id"), text(data, "secret"))
    })
}

/// Something done to one delivery.
async fn act(remote: &Remote, path: &[&str], output: Output) -> anyhow::Result<()> {
    let answer = remote.ask(Method::POST, path, &[], None).await?;
    output.answer(&answer, || format!("{} {}", text(&answer["data"], "id"), text(&answer["data"], "status")))
}

async fn stats(remote: &Remote, id: &str, output: Output) -> anyhow::Result<()> {
    let answer = remote.get(&["webhooks", id, "stats"], &[]).await?;
    output.answer(&answer, || {
        let data = &answer["data"];
        let figure = |name: &str, unit: &str| match &data[name] {
            Value::Null => "none yet".to_owned(),
            number => format!("{number}{unit}"),
        };
        let rows = [
            ("status", text(data, "status")),
            ("attempts looked at", figure("attempts", "")),
            ("success ratio", figure("successRatio", "")),
            ("duration, median", figure("p50Ms", " ms")),
            ("duration, 95th percentile", figure("p95Ms", " ms")),
            ("still owed", figure("pending", "")),
            ("age of the oldest", figure("queueAgeMs", " ms")),
        ];
        columns(&rows.map(|(name, value)| vec![name.to_owned(), value]))
    })
}

async fn deliveries(remote: &Remote, id: &str, status: Option<&str>, output: Output) -> anyhow::Result<()> {
    let query = [("limit", "100"), ("status", status.unwrap_or("all"))];
    let answer = remote.get(&["webhooks", id, "deliveries"], &query).await?;
    output.answer(&answer, || {
        let row = |delivery: &Value| {
            let attempts = delivery["attemptCount"].to_string();
            vec![
                text(delivery, "id"),
                text(delivery, "status"),
                attempts,
                text(delivery, "event"),
                text(delivery, "reason"),
            ]
        };
        let rows: Vec<_> = answer["data"].as_array().into_iter().flatten().map(row).collect();
        columns(&rows)
    })
}

/// What a request says of itself.
struct Claim {
    secret: String,
    timestamp: i64,
    signature: String,
    id: Option<String>,
}

fn verify(claim: &Claim, file: Option<&str>, output: Output) -> anyhow::Result<()> {
    let body = read(file)?;
    if !holds(claim, &body)? {
        let hint = "give the raw body as it came, byte for byte, the timestamp of the same request and the secret in force";
        return Err(failed("the signature does not fit", hint));
    }
    output.answer(&json!({"valid": true}), || output.paint(Style::Green, "the signature fits"))
}

/// Whether one of the signatures is made with the secret over this very body.
fn holds(claim: &Claim, body: &[u8]) -> anyhow::Result<bool> {
    let signer = Signer::of(&claim.secret);
    if !claim.signature.starts_with("v1,") {
        return Ok(equal(&claim.signature, &signer.documented(claim.timestamp, body)));
    }
    let id = claim.id.as_deref().ok_or_else(|| {
        usage(
            "a `v1,…` signature is made over the id as well",
            "give --id, the value of the header webhook-id",
        )
    })?;
    let expected = signer.standard(id, claim.timestamp, body);
    Ok(claim.signature.split(' ').any(|one| equal(one, &expected)))
}

fn read(file: Option<&str>) -> anyhow::Result<Vec<u8>> {
    let cannot = |from: &str, cause| explain(cause, format!("cannot read the body from {from}"), "");
    if let Some(file) = file.filter(|file| *file != "-") {
        return std::fs::read(file).map_err(|cause| cannot(file, cause));
    }
    let mut all = Vec::new();
    std::io::stdin().read_to_end(&mut all).map_err(|cause| cannot("standard input", cause))?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(signature: &str, id: Option<&str>) -> Claim {
        Claim {
            secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into(),
            timestamp: 1_614_265_330,
            signature: signature.into(),
            id: id.map(str::to_owned),
        }
    }

    #[test]
    fn both_kinds_of_signature_are_checked() {
        let body = br#"{"test": 2432232314}"#;
        let id = Some("msg_p5jXN8AQM9LWM0D4loKWxJek");
        let standard = "v1,bm9uZXN1Y2g= v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let documented = Signer::of(&claim("", None).secret).documented(1_614_265_330, body);

        assert!(holds(&claim(standard, id), body).unwrap());
        assert!(holds(&claim(&documented, None), body).unwrap());
        assert!(!holds(&claim(standard, Some("msg_other")), body).unwrap());
        assert!(!holds(&claim(&documented, None), b"{}").unwrap());
        assert!(holds(&claim(standard, None), body).is_err());
    }
}
