//! `projects list|create`: projects straight on the store.
//!
//! Invariant: a name is a project's alone; asking to make one that is there is refused.
//! Not here: who belongs to them (`members`).

use crate::args::Projects;
use crate::config::Config;
use crate::failure::{failed, usage};
use crate::node::{Node, explain_store};
use crate::output::{Output, Style, clean, columns};
use openevent_domain::id::ProjectId;
use openevent_domain::signal::rfc3339;
use openevent_domain::tenant::is_project_name;
use openevent_server::app::audit::{self, Act, Who};
use openevent_store::audit::instance;
use openevent_store::keys::Project;
use openevent_store::place::Place;
use openevent_store::{Error, WriteSet};
use serde_json::{Value, json};

/// Projects a list shows at most.
const LISTED_MAX: i64 = 10_000;

/// Runs one of the two.
pub(crate) async fn run(projects: Projects, config: Config, output: Output) -> anyhow::Result<()> {
    if let Projects::Create { name, .. } = &projects
        && (!is_project_name(name) || ProjectId::parse(name).is_some())
    {
        let hint = "1 to 100 visible characters, without blanks at the ends";
        return Err(usage("this is no name for a project", hint));
    }
    let node = Node::open(config).await?;
    match projects {
        Projects::Create { name, .. } => create(&node, name, output).await?,
        Projects::List(_) => list(&node, output).await?,
    }
    node.close().await;
    Ok(())
}

fn shown(project: &Project) -> Value {
    json!({"id": project.id, "name": project.name, "createdAt": project.created_at})
}

async fn create(node: &Node, name: String, output: Output) -> anyhow::Result<()> {
    let now = node.clock.now();
    let project = Project { id: ProjectId::mint(now, node.chance.as_ref()), name, created_at: now };
    let mut set = WriteSet::new();
    set.new_project(&project);
    let act = Act::made("project.create", project.id.as_str(), &shown(&project));
    set.add_audit(&audit::row(node.chance.as_ref(), instance(), &Who::CLI, act, now));
    node.store.submit(set).await.map_err(|cause| match cause {
        Error::Exists { .. } => failed(
            format!("there is a project {} already", clean(&project.name)),
            "see `openevent projects list`",
        ),
        other => explain_store(other, "cannot store the project", &node.config),
    })?;
    output.answer(&shown(&project), || {
        format!("{} {} {}", output.paint(Style::Green, "made"), project.id, clean(&project.name))
    })
}

async fn list(node: &Node, output: Output) -> anyhow::Result<()> {
    let found = node.store.projects(&Place::Offset(0), LISTED_MAX).await;
    let found = found.map_err(|cause| explain_store(cause, "cannot read the projects", &node.config))?;
    let answer: Vec<_> = found.iter().map(shown).collect();
    output.answer(&answer, || {
        if found.is_empty() {
            return "No projects yet. Make one with `openevent projects create NAME`.".to_owned();
        }
        let head = ["ID", "NAME", "MADE"].map(str::to_owned).to_vec();
        let row = |one: &Project| vec![one.id.to_string(), clean(&one.name), rfc3339(one.created_at)];
        let text = columns(&std::iter::once(head).chain(found.iter().map(row)).collect::<Vec<_>>());
        let (head, rest) = text.split_once('\n').unwrap_or((&text, ""));
        format!("{}\n{rest}", output.paint(Style::Bold, head))
    })
}
