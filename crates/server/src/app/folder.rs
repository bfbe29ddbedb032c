//! The workflows folder: files that are definitions, kept in step with the store while the server runs.
//!
//! Invariant: a broken file is reported with its line and changes nothing of the others, nor of what it said
//! before it broke.
//! Not here: the language; where the folder is.

use crate::state::App;
use notify::{RecursiveMode, Watcher as _};
use openevent_domain::ambient::Millis;
use openevent_domain::id::ProjectId;
use openevent_domain::tenant::{Environment, Tenant};
use openevent_engine::{Engine, Linked};
use openevent_flow::{Definition, Documents, Issue};
use openevent_store::workflows::{Origin, WorkflowRecord};
use openevent_store::{Error, Store, WriteSet};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Files that are read.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];
/// The folder in it that holds functions for all workflows.
pub const FUNCTIONS: &str = "functions";
/// Folders above a function's file: its name and its version.
const FUNCTION_DEPTH: usize = 2;
/// The largest file.
const BYTES_MAX: u64 = 1024 * 1024;

/// How long a change may settle: editors write a file in several steps.
const GATHER: Duration = Duration::from_millis(150);
/// How often the folder is looked at when nothing was told.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// What a look at the folder found.
#[derive(Debug, Default)]
pub struct Report {
    /// Definitions that are in force.
    pub loaded: usize,
    /// Files that could not be read, with the reasons.
    pub broken: Vec<Broken>,
    /// Definitions that lack a document from elsewhere. It is asked for again at the next look.
    pub unlinked: usize,
}

/// A file that could not be read.
#[derive(Debug)]
pub struct Broken {
    /// Which.
    pub file: PathBuf,
    /// Where and why, one line each.
    pub reasons: Vec<String>,
}

struct File {
    path: PathBuf,
    source: String,
    documents: Documents,
    is_linked: bool,
    definition: Definition,
}

type Key = (String, String, String);

/// Whose folder it is, and what is known of it already.
struct Home<'a> {
    engine: &'a Engine,
    tenant: Tenant,
    stored: &'a [WorkflowRecord],
}

impl Home<'_> {
    /// What a file of this text was linked with before: a start needs no other host for what has not changed.
    fn known(&self, source: &str) -> Documents {
        let same = self.stored.iter().find(|record| record.tenant == self.tenant && record.source == source);
        same.map(|record| record.documents.clone()).unwrap_or_default()
    }
}

/// Brings the store in step with the folder: both environments of one project.
pub async fn load(
    folder: &Path,
    store: &Store,
    engine: &Engine,
    project: &ProjectId,
    now: Millis,
) -> Result<Report, Error> {
    let stored = store.all_workflows().await?;
    let home = Home { engine, tenant: Tenant::of(project, Environment::Live), stored: &stored };
    let (files, mut report) = read(folder, &home).await;
    let mut set = WriteSet::new();
    for environment in Environment::ALL {
        let tenant = Tenant::of(project, environment);
        let mine: HashMap<Key, &WorkflowRecord> = stored
            .iter()
            .filter(|record| record.tenant == tenant)
            .map(|record| (key(record), record))
            .collect();
        let mut kept: HashSet<Key> = HashSet::new();
        for file in &files {
            let record = record(file, &tenant, now);
            let key = key(&record);
            match mine.get(&key) {
                Some(there) if there.origin == Origin::Api => {
                    report.refuse(
                        &file.path,
                        "this version was put through the API; delete it there or raise the version",
                    );
                }
                Some(there) if there.definition_hash == record.definition_hash => {}
                _ => set.put_workflow(&record),
            }
            kept.insert(key);
        }
        // What a broken file said before goes on; only a file that is gone takes its definition with it.
        let is_whole = report.broken.is_empty();
        let gone = |(key, record): &(&Key, &&WorkflowRecord)| {
            is_whole && record.origin == Origin::File && !kept.contains(*key)
        };
        for (key, _) in mine.iter().filter(gone) {
            set.delete_workflow_version(&tenant, &key.0, &key.1, &key.2);
        }
    }
    if !set.is_empty() {
        store.submit(set).await?;
        engine.registry().refresh().await?;
    }
    report.loaded = files.len();
    Ok(report)
}

/// Keeps the store in step with the folder until `stop`: on every change of a file, and every few seconds in
/// case a change was not told (network file systems, a folder that was not there yet). What was `said` of the
/// folder is not said again.
pub async fn keep(
    folder: PathBuf,
    app: Arc<App>,
    project: ProjectId,
    mut said: String,
    stop: CancellationToken,
) {
    let (changed, mut changes) = mpsc::channel(1);
    let told = move |event: notify::Result<notify::Event>| {
        // Our own reading is no change; a full queue has been told already.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            let _ = changed.try_send(());
        }
    };
    let mut watcher = notify::recommended_watcher(told).ok();
    let (mut watched, mut seen) = (false, None);
    while !stop.is_cancelled() {
        if let Some(watcher) = watcher.as_mut().filter(|_| !watched) {
            watched = watcher.watch(&folder, RecursiveMode::NonRecursive).is_ok();
        }
        tokio::select! {
            () = stop.cancelled() => return,
            Some(()) = changes.recv() => tokio::time::sleep(GATHER).await,
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
        while changes.try_recv().is_ok() {}
        let now = Some(look(&folder));
        if now == seen {
            continue;
        }
        seen = now;
        match load(&folder, &app.store, &app.engine, &project, app.clock.now()).await {
            Ok(report) => {
                report.tell(&mut said);
                if report.unlinked > 0 {
                    seen = None;
                }
            }
            Err(cause) => {
                tracing::warn!(error = %cause, "the workflows folder could not be brought into the store");
                seen = None;
            }
        }
    }
}

impl Report {
    /// Logs what changed since it was last said.
    pub fn tell(&self, said: &mut String) {
        let words = format!("{self:?}");
        if words == *said {
            return;
        }
        *said = words;
        for Broken { file, reasons } in &self.broken {
            for reason in reasons {
                tracing::error!(file = %file.display(), "{reason}");
            }
        }
        tracing::info!(loaded = self.loaded, broken = self.broken.len(), "workflows folder read");
    }

    fn refuse(&mut self, file: &Path, reason: impl Into<String>) {
        let reason = reason.into();
        match self.broken.iter_mut().find(|broken| broken.file == file) {
            Some(broken) if broken.reasons.contains(&reason) => {}
            Some(broken) => broken.reasons.push(reason),
            None => self.broken.push(Broken { file: file.to_owned(), reasons: vec![reason] }),
        }
    }
}

async fn read(folder: &Path, home: &Home<'_>) -> (Vec<File>, Report) {
    let mut report = Report::default();
    let (mut files, mut seen): (Vec<File>, HashMap<Key, PathBuf>) = (Vec::new(), HashMap::new());
    for path in paths(folder, &mut report) {
        match read_file(&path, home).await {
            Ok(file) => {
                report.unlinked += usize::from(!file.is_linked);
                let definition = &file.definition;
                let key = (
                    definition.namespace().to_owned(),
                    definition.name().to_owned(),
                    definition.version().to_owned(),
                );
                if let Some(other) = seen.get(&key) {
                    let reason = format!("{} has the same namespace, name and version", other.display());
                    report.refuse(&path, reason);
                } else {
                    seen.insert(key, path);
                    files.push(file);
                }
            }
            Err(reasons) => reasons.into_iter().for_each(|reason| report.refuse(&path, reason)),
        }
    }
    (files, report)
}

fn paths(folder: &Path, report: &mut Report) -> Vec<PathBuf> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(cause) => {
            report.refuse(folder, cause.to_string());
            return Vec::new();
        }
    };
    let is_read = |path: &PathBuf| {
        path.extension()
            .and_then(|extension| extension.to_str())
            .is_some_and(|extension| EXTENSIONS.contains(&extension))
    };
    let mut paths: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_read).collect();
    paths.sort();
    paths
}

/// What a folder looks like from the outside: reading a thousand definitions again costs more than this.
fn look(folder: &Path) -> Vec<(PathBuf, Option<SystemTime>, u64)> {
    let outside = |path: PathBuf| match std::fs::metadata(&path) {
        Ok(about) => (path, about.modified().ok(), about.len()),
        Err(_) => (path, None, 0),
    };
    let functions = functions(&folder.join(FUNCTIONS), FUNCTION_DEPTH);
    paths(folder, &mut Report::default()).into_iter().chain(functions).map(outside).collect()
}

/// The files of the folder of functions: below name and version.
fn functions(folder: &Path, depth: usize) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .flat_map(|path| if path.is_dir() && depth > 0 { functions(&path, depth - 1) } else { vec![path] })
        .collect();
    paths.sort();
    paths
}

async fn read_file(path: &Path, home: &Home<'_>) -> Result<File, Vec<String>> {
    let told = |cause: std::io::Error| vec![cause.to_string()];
    if std::fs::metadata(path).map_err(told)?.len() > BYTES_MAX {
        return Err(vec![format!("is larger than {BYTES_MAX} bytes")]);
    }
    let source = std::fs::read_to_string(path).map_err(told)?;
    match home.engine.link_with(&home.tenant, &source, home.known(&source)).await {
        Ok(linked) => {
            for warning in &linked.unsupported {
                tracing::warn!(file = %path.display(), "{warning}; such a task faults when it is reached");
            }
            let Linked { definition, documents, is_complete, .. } = linked;
            Ok(File { path: path.to_owned(), source, documents, is_linked: is_complete, definition })
        }
        Err(issues) => Err(issues.iter().map(Issue::to_string).collect()),
    }
}

fn record(file: &File, tenant: &Tenant, now: Millis) -> WorkflowRecord {
    WorkflowRecord {
        tenant: tenant.clone(),
        namespace: file.definition.namespace().to_owned(),
        name: file.definition.name().to_owned(),
        version: file.definition.version().to_owned(),
        definition_hash: file.definition.hash().to_owned(),
        origin: Origin::File,
        created_at: now,
        updated_at: now,
        source: file.source.clone(),
        documents: file.documents.clone(),
    }
}

fn key(record: &WorkflowRecord) -> Key {
    (record.namespace.clone(), record.name.clone(), record.version.clone())
}
