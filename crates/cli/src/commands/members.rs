//! `members add|list|remove`: who belongs to a project, straight on the store.
//!
//! Invariant: the last owner stays, as over HTTP.
//! Not here: accounts (`users`).

use super::users;
use crate::args::{Members, OfProject};
use crate::config::Config;
use crate::failure::failed;
use crate::node::{Node, explain_store};
use crate::output::{Output, Style, clean, columns};
use openevent_domain::role::Role;
use openevent_domain::tenant::{Environment, Tenant};
use openevent_server::app::audit::{self, Act, Who};
use openevent_server::app::projects;
use openevent_store::keys::Project;
use openevent_store::members::Member;
use openevent_store::users::UserRecord;
use openevent_store::{Error, WriteSet};
use serde_json::{Value, json};

/// Runs one of the three.
pub(crate) async fn run(members: Members, config: Config, output: Output) -> anyhow::Result<()> {
    let node = Node::open(config).await?;
    match members {
        Members::Add { email, role, of } => add(&node, &email, role.into(), &of, output).await?,
        Members::Remove { email, of } => remove(&node, &email, &of, output).await?,
        Members::List { of } => list(&node, &of, output).await?,
    }
    node.close().await;
    Ok(())
}

fn failing(node: &Node) -> impl Fn(Error) -> anyhow::Error {
    |cause| explain_store(cause, "cannot read or change the members", &node.config)
}

async fn project(node: &Node, of: &OfProject) -> anyhow::Result<Project> {
    let found = node.store.project(&of.project).await.map_err(failing(node))?;
    let hint = "`openevent projects list` shows them";
    found.ok_or_else(|| failed(format!("there is no project {}", clean(&of.project)), hint))
}

fn shown(user: &UserRecord, project: &Project, role: Role) -> Value {
    json!({"project": project.name, "userId": user.id, "email": user.email.as_str(), "role": role})
}

fn note(node: &Node, set: &mut WriteSet, project: &Project, act: Act<'_>) {
    let tenant = Tenant::of(&project.id, Environment::Live);
    set.add_audit(&audit::row(node.chance.as_ref(), tenant, &Who::CLI, act, node.clock.now()));
}

async fn add(node: &Node, email: &str, role: Role, of: &OfProject, output: Output) -> anyhow::Result<()> {
    let (project, user) = (project(node, of).await?, users::find(node, email).await?);
    let (now, mut set) = (node.clock.now(), WriteSet::new());
    match node.store.member(&project.id, &user.id).await.map_err(failing(node))? {
        Some(known) if known.role == role => {}
        Some(known) => {
            let put = projects::put_role(&node.store, &mut set, &project, &known, role, now).await;
            put.map_err(|problem| users::refused(&problem))?;
            let (was, is) = (json!({"role": known.role}), json!({"role": role}));
            note(node, &mut set, &project, Act::changed("member.update", user.id.as_str(), &was, &is));
        }
        None => {
            set.add_member(&project.id, &user.id, role, now);
            let act = Act::made("member.add", user.id.as_str(), &shown(&user, &project, role));
            note(node, &mut set, &project, act);
        }
    }
    node.store.submit(set).await.map_err(failing(node))?;
    output.answer(&shown(&user, &project, role), || {
        let (email, project) = (clean(user.email.as_str()), clean(&project.name));
        format!("{} {email} is {} of {project}", output.paint(Style::Green, "done"), role.as_str())
    })
}

async fn remove(node: &Node, email: &str, of: &OfProject, output: Output) -> anyhow::Result<()> {
    let (project, user) = (project(node, of).await?, users::find(node, email).await?);
    let known = node.store.member(&project.id, &user.id).await.map_err(failing(node))?;
    let words = format!("{} is no member of {}", clean(email), clean(&project.name));
    let known = known.ok_or_else(|| failed(words, "`openevent members list` shows them"))?;
    let mut set = WriteSet::new();
    let out = projects::take_out(&node.store, &mut set, &project, &known).await;
    out.map_err(|problem| users::refused(&problem))?;
    let act = Act::gone("member.remove", user.id.as_str(), &shown(&user, &project, known.role));
    note(node, &mut set, &project, act);
    node.store.submit(set).await.map_err(failing(node))?;
    output.answer(&json!({"userId": user.id, "deleted": true}), || {
        format!("{} {}", output.paint(Style::Green, "removed"), clean(user.email.as_str()))
    })
}

async fn list(node: &Node, of: &OfProject, output: Output) -> anyhow::Result<()> {
    let project = project(node, of).await?;
    let found = node.store.members(&project.id).await.map_err(failing(node))?;
    let one = |member: &Member| {
        json!({"userId": member.user_id, "email": member.email, "role": member.role,
            "disabled": member.disabled_at.is_some(), "createdAt": member.created_at})
    };
    output.answer(&found.iter().map(one).collect::<Vec<_>>(), || {
        if found.is_empty() {
            return "No members yet. Add one with `openevent members add --email E --role owner`.".to_owned();
        }
        let head = ["ID", "E-MAIL", "ROLE"].map(str::to_owned).to_vec();
        let row =
            |one: &Member| vec![one.user_id.to_string(), clean(&one.email), one.role.as_str().to_owned()];
        let text = columns(&std::iter::once(head).chain(found.iter().map(row)).collect::<Vec<_>>());
        let (head, rest) = text.split_once('\n').unwrap_or((&text, ""));
        format!("{}\n{rest}", output.paint(Style::Bold, head))
    })
}
