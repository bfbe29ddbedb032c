//! Projects as people see them, and who belongs to which.
//!
//! Invariant: a set that calls [`WriteSet::keep_an_owner`] commits only if the project has an owner left, also when
//! two nodes remove one each at the same time.
//! Not here: what a role may do; making projects (see `keys`).

use crate::keys::Project;
use crate::place::Place;
use crate::sql::{Select, Sql};
use crate::value::{Row, Value};
use crate::write::{Expect, WriteSet};
use crate::{Error, Store};
use openevent_domain::ambient::Millis;
use openevent_domain::id::{ProjectId, UserId};
use openevent_domain::role::Role;

/// The table of memberships, for those who ask which key was taken.
pub const TABLE: &str = "members";
/// Projects of one person, and members of one project, that are read at most.
pub const MEMBERS_MAX: i64 = 10_000;
/// Rows a count looks at before it says "at least so many".
const COUNT_MAX: i64 = 100_000;

/// A project somebody belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// Which.
    pub project: Project,
    /// What they are in it.
    pub role: Role,
}

/// Somebody who belongs to a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub user_id: UserId,
    /// The address they sign in with.
    pub email: String,
    /// Since when they may not sign in.
    pub disabled_at: Option<Millis>,
    /// What they are in it.
    pub role: Role,
    /// Since when.
    pub created_at: Millis,
    /// When the role was last changed.
    pub updated_at: Millis,
}

static NEW_PROJECT: Sql = Sql::same("INSERT INTO projects (id, name, created_at) VALUES ($1, $2, $3)");
static ADD: Sql = Sql::same(
    "INSERT INTO members (project_id, user_id, role, created_at, updated_at) \
     SELECT projects.id, users.id, $1, CAST($2 AS BIGINT), CAST($3 AS BIGINT) FROM projects, users \
     WHERE projects.id = $4 AND users.id = $5",
);
static CHANGE: Sql = Sql::same(
    "UPDATE members SET role = $1, updated_at = $2 WHERE project_id = $3 AND user_id = $4 AND updated_at = $5",
);
static REMOVE: Sql =
    Sql::same("DELETE FROM members WHERE project_id = $1 AND user_id = $2 AND updated_at = $3");
// As with admins: take a turn first, change, then look in a statement of its own.
static TURN: Sql = Sql::same(
    "INSERT INTO cursors (name, seq) VALUES ($1, 1) ON CONFLICT (name) DO UPDATE SET seq = cursors.seq + 1",
);
static KEEP: Sql = Sql::same(
    "UPDATE cursors SET seq = seq WHERE name = $1 \
     AND EXISTS (SELECT 1 FROM members WHERE project_id = $2 AND role = 'owner')",
);
const OF_USER: &str = "SELECT projects.id, projects.name, projects.created_at, members.role FROM members \
                       JOIN projects ON projects.id = members.project_id WHERE members.user_id = $1";
const OF_PROJECT: &str = "SELECT users.id, users.email, users.disabled_at, members.role, members.created_at, \
                          members.updated_at FROM members JOIN users ON users.id = members.user_id \
                          WHERE members.project_id = $1";
const PROJECTS: &str = "SELECT id, name, created_at FROM projects";
const PROJECTS_COUNTED: &str = "SELECT 1 AS one FROM projects";

pub(crate) const STATEMENTS: &[&Sql] = &[&NEW_PROJECT, &ADD, &CHANGE, &REMOVE, &TURN, &KEEP];

impl WriteSet {
    /// A project that was not there; fails with `Exists` when its name is taken.
    pub fn new_project(&mut self, project: &Project) {
        let args = [project.id.as_str().into(), project.name.as_str().into(), project.created_at.into()];
        self.write(&NEW_PROJECT, args, Expect::One("the project was not added"));
    }

    /// A membership; fails with `Exists` of [`TABLE`] when there is one.
    pub fn add_member(&mut self, project: &ProjectId, user: &UserId, role: Role, now: Millis) {
        let args: [Value; 5] =
            [role.as_str().into(), now.into(), now.into(), project.as_str().into(), user.as_str().into()];
        self.write(&ADD, args, Expect::One("the user or the project is gone"));
    }

    /// Another role for a member who is still as they were read.
    pub fn change_member(&mut self, project: &ProjectId, member: &Member, role: Role, now: Millis) {
        let args: [Value; 5] = [
            role.as_str().into(),
            now.max(member.updated_at + 1).into(),
            project.as_str().into(),
            member.user_id.as_str().into(),
            member.updated_at.into(),
        ];
        self.write(&CHANGE, args, Expect::One("the member was changed meanwhile"));
    }

    /// Ends the membership of somebody who is still as they were read.
    pub fn remove_member(&mut self, project: &ProjectId, member: &Member) {
        let args = [project.as_str().into(), member.user_id.as_str().into(), member.updated_at.into()];
        self.write(&REMOVE, args, Expect::One("the member was changed meanwhile"));
    }

    /// Waits for others who change who owns the project. Before the change.
    pub fn take_turn_at_owners(&mut self, project: &ProjectId) {
        self.write(&TURN, [turn(project).into()], Expect::Any);
    }

    /// Fails the set unless the project has an owner left. After the change.
    pub fn keep_an_owner(&mut self, project: &ProjectId) {
        let args = [turn(project).into(), project.as_str().into()];
        self.write(&KEEP, args, Expect::One("no owner would be left"));
    }
}

fn turn(project: &ProjectId) -> String {
    format!("owners:{project}")
}

impl Store {
    /// The projects somebody belongs to, oldest first.
    pub async fn memberships(&self, user: &UserId) -> Result<Vec<Membership>, Error> {
        self.rows(memberships(user)).await?.into_iter().map(membership).collect()
    }

    /// Somebody's membership in the project of a name.
    pub async fn membership(&self, user: &UserId, project: &str) -> Result<Option<Membership>, Error> {
        self.row(one_membership(user, project)).await?.map(membership).transpose()
    }

    /// The members of a project, by id: those who have been there longest first.
    pub async fn members(&self, project: &ProjectId) -> Result<Vec<Member>, Error> {
        self.rows(members(project)).await?.into_iter().map(member).collect()
    }

    /// One member of a project.
    pub async fn member(&self, project: &ProjectId, user: &UserId) -> Result<Option<Member>, Error> {
        self.row(one_member(project, user)).await?.map(member).transpose()
    }

    /// A page of all projects, newest first: for admins of the instance.
    pub async fn projects(&self, place: &Place, limit: i64) -> Result<Vec<Project>, Error> {
        self.rows(projects(place, limit)).await?.into_iter().map(|mut row| project(&mut row)).collect()
    }

    /// How many projects there are, at most 100 000.
    pub async fn projects_count(&self) -> Result<i64, Error> {
        self.count(all(PROJECTS_COUNTED), COUNT_MAX).await
    }
}

fn memberships(user: &UserId) -> Select {
    let select = Select::new(OF_USER, [user.as_str().into()]);
    select.then("ORDER BY members.project_id").then_arg("LIMIT", MEMBERS_MAX)
}

fn one_membership(user: &UserId, project: &str) -> Select {
    Select::new(OF_USER, [user.as_str().into()]).and("projects.name =", project)
}

fn members(project: &ProjectId) -> Select {
    let select = Select::new(OF_PROJECT, [project.as_str().into()]);
    select.then("ORDER BY members.user_id").then_arg("LIMIT", MEMBERS_MAX)
}

fn one_member(project: &ProjectId, user: &UserId) -> Select {
    Select::new(OF_PROJECT, [project.as_str().into()]).and("members.user_id =", user.as_str())
}

/// Every project, read off the index of ids.
fn all(text: &str) -> Select {
    Select::new(text, []).then_arg("WHERE id >", "")
}

fn projects(place: &Place, limit: i64) -> Select {
    place.newest_first(all(PROJECTS), "id", limit)
}

fn project(row: &mut Row) -> Result<Project, Error> {
    Ok(Project { id: ProjectId::trusted(row.text()?), name: row.text()?, created_at: row.int()? })
}

fn role(row: &mut Row) -> Result<Role, Error> {
    let word = row.text()?;
    Role::parse(&word).ok_or_else(|| Error::Corrupt(format!("`{word}` is no role")))
}

fn membership(mut row: Row) -> Result<Membership, Error> {
    Ok(Membership { project: project(&mut row)?, role: role(&mut row)? })
}

fn member(mut row: Row) -> Result<Member, Error> {
    Ok(Member {
        user_id: UserId::trusted(row.text()?),
        email: row.text()?,
        disabled_at: row.int_or_null()?,
        role: role(&mut row)?,
        created_at: row.int()?,
        updated_at: row.int()?,
    })
}

pub(crate) fn selects() -> Vec<Select> {
    let (project, user) = (ProjectId::trusted("x".into()), UserId::trusted("x".into()));
    vec![
        memberships(&user),
        one_membership(&user, "x"),
        members(&project),
        one_member(&project, &user),
        projects(&Place::Offset(0), 1),
        projects(&Place::After("x".into()), 1),
        all(PROJECTS_COUNTED),
    ]
}
