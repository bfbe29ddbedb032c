//! `demo`: fills a project with a season of made-up events, vendors and sponsors.
//!
//! Invariant: a project that has events is left alone unless `--force` is given.
//! Not here: what the season is (`domain`), writing it (`server::app::demo`).

use crate::args::Demo;
use crate::config::Config;
use crate::failure::{explain, failed};
use crate::node::{Node, explain_store};
use crate::output::{Output, Style, columns};
use openevent_domain::planning::demo::{Season, Size};
use openevent_domain::tenant::{Environment, Tenant};
use openevent_server::app::audit::Act;
use openevent_server::app::demo::{Depth, FillError, Filled, Ground, fill};
use openevent_store::{Error, WriteSet};
use serde::Serialize;

/// The answer.
#[derive(Serialize)]
struct Answer<'a> {
    project: &'a str,
    environment: &'static str,
    seed: u64,
    #[serde(flatten)]
    filled: Filled,
}

/// Runs it.
pub(crate) async fn run(demo: Demo, config: Config, output: Output) -> anyhow::Result<()> {
    let node = Node::open(config).await?;
    let project = node.project(&demo.of.project).await?;
    let environment = demo.of.environment.map_or(Environment::Live, Environment::from);
    let size = Size { events: demo.events, vendors: demo.vendors, sponsors: demo.sponsors };
    let season = Season::new(demo.seed, node.clock.now(), size);
    let ground = if demo.force { Ground::MayBeTaken } else { Ground::MustBeEmpty };
    let depth = if demo.bare { Depth::Bare } else { Depth::Whole };
    let tell = |filled: Filled| {
        let Filled { vendors, sponsors, events, .. } = filled;
        output.progress(&format!("{vendors} vendors, {sponsors} sponsors, {events} events"));
    };
    let tenant = Tenant::of(&project.id, environment);
    let filled = fill(&node.store, &tenant, season, depth, ground, tell).await;
    let filled = filled.map_err(|error| refuse(error, &node, &project.name))?;
    // What was just loaded lies in many segments, each of which a search would open.
    let merged = async {
        while node.store.merge_search().await? {}
        Ok::<_, Error>(())
    }
    .await;
    merged.map_err(|cause| explain_store(cause, "cannot merge the search index", &node.config))?;
    let mut set = WriteSet::new();
    set.add_audit(&node.told(tenant, Act::made("demo.fill", &project.name, &filled)));
    let told = node.store.submit(set).await;
    told.map_err(|cause| explain_store(cause, "cannot write the audit log", &node.config))?;
    let answer =
        Answer { project: &project.name, environment: environment.as_str(), seed: demo.seed, filled };
    output.progress("");
    output.answer(&answer, || text(&answer, output))?;
    node.close().await;
    Ok(())
}

fn refuse(error: FillError, node: &Node, project: &str) -> anyhow::Error {
    match error {
        FillError::Taken => failed(
            format!("the project {project} has events already"),
            "name another with --project, or add to them with --force",
        ),
        FillError::Store(cause) => explain_store(cause, "cannot write the season", &node.config),
        bug @ FillError::Part(_) => explain(bug, "cannot write the season", ""),
    }
}

fn text(answer: &Answer<'_>, output: Output) -> String {
    let Filled { vendors, sponsors, events, tasks, budget_items, relations, applications } = answer.filled;
    let rows: Vec<_> = [
        ("vendors", vendors),
        ("sponsors", sponsors),
        ("events", events),
        ("tasks", tasks),
        ("budget items", budget_items),
        ("relations", relations),
        ("applications", applications),
    ]
    .map(|(what, count)| vec![what.to_owned(), count.to_string()])
    .into();
    let remark = "Everything in it is made up. No signals were raised.";
    format!(
        "A season for {} ({}), seed {}\n{}\n{}",
        output.paint(Style::Bold, answer.project),
        answer.environment,
        answer.seed,
        columns(&rows),
        output.paint(Style::Dim, remark)
    )
}
