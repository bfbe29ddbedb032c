//! A throw-away PostgreSQL cluster: found or installed, made in a temp dir, stopped when dropped.
//!
//! Invariant: the cluster listens on loopback only, keeps fsync on, and ends with this process, by the id
//! it was started under. Deliberately not here: schemas and test databases; the tests make their own.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{children, cmd, debian};

const START_PATIENCE: Duration = Duration::from_secs(30);
const STOP_PATIENCE: Duration = Duration::from_secs(15);
const CONNECTIONS_MAX: u32 = 400;
const START_TRIES: u32 = 3;
/// The account that runs the server when we are root, as PostgreSQL refuses to.
const ACCOUNT: &str = "postgres";

/// The folder with `initdb` and `postgres`; installs the Debian package when there is none.
pub(crate) fn ensure_installed() -> Result<PathBuf> {
    if let Some(folder) = find_bin_dir() {
        return Ok(folder);
    }
    println!("PostgreSQL is missing; installing the Debian package `postgresql`");
    debian::install("postgresql")?;
    find_bin_dir().context("PostgreSQL was installed, but its programs were not found")
}

/// The newest version under Debian's folder, else wherever the search path finds the server program.
fn find_bin_dir() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .map(|entry| entry.path().join("bin"))
        .filter(|folder| is_complete(folder))
        .max_by_key(|folder| major_version(folder));
    newest.or_else(|| {
        let program = fs::canonicalize(cmd::find("postgres")?).ok()?;
        program.parent().filter(|folder| is_complete(folder)).map(Path::to_path_buf)
    })
}

fn is_complete(folder: &Path) -> bool {
    ["initdb", "postgres", "pg_isready"].iter().all(|program| folder.join(program).is_file())
}

fn major_version(bin: &Path) -> u32 {
    let name = bin.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    name.and_then(|name| name.parse().ok()).unwrap_or(0)
}

/// A running server of our own.
pub(crate) struct Cluster {
    server: Child,
    port: u16,
    bin_dir: PathBuf,
    /// Goes after the server has stopped.
    _home: Home,
}

/// The folder that holds data, socket and log.
enum Home {
    /// Removed when dropped.
    Passing(TempDir),
    /// Used again by a later run.
    Kept(PathBuf),
}

impl Home {
    fn path(&self) -> &Path {
        match self {
            Self::Passing(folder) => folder.path(),
            Self::Kept(folder) => folder,
        }
    }
}

impl Cluster {
    /// Makes an empty cluster in a new folder below `parent` and starts it on a free port of 127.0.0.1.
    /// When we are root, the account `postgres` must be able to pass through `parent`.
    pub(crate) fn start(bin_dir: &Path, parent: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("openevent-pg-").tempdir_in(parent)?;
        make(bin_dir, folder.path())?;
        Self::start_in(bin_dir, Home::Passing(folder))
    }

    /// Starts the cluster in `folder`, which is made if there is none and stays afterwards.
    pub(crate) fn start_kept(bin_dir: &Path, folder: &Path) -> Result<Self> {
        if !folder.join("data/PG_VERSION").exists() {
            fs::create_dir_all(folder)?;
            make(bin_dir, folder)?;
        }
        Self::start_in(bin_dir, Home::Kept(folder.to_path_buf()))
    }

    fn start_in(bin_dir: &Path, home: Home) -> Result<Self> {
        let folder = home.path();
        let mut tries = 0;
        loop {
            tries += 1;
            let port = free_port()?;
            let mut server = spawn(bin_dir, folder, port)?;
            if became_ready(bin_dir, &mut server, port) {
                println!("PostgreSQL started on 127.0.0.1:{port} (process {})", server.id());
                return Ok(Self { server, port, bin_dir: bin_dir.to_path_buf(), _home: home });
            }
            children::stop(&mut server, Signal::INT, STOP_PATIENCE);
            if tries == START_TRIES || children::interrupted() {
                let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
                bail!("PostgreSQL did not start; its log says:\n{log}");
            }
        }
    }

    /// The address of the maintenance database, as the superuser.
    pub(crate) fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// Makes one more empty database and answers its address.
    pub(crate) fn create_database(&self, name: &str) -> Result<String> {
        cmd::output(self.program("createdb").arg(name))?;
        Ok(self.url_of(name))
    }

    /// Removes a database, if it is there.
    pub(crate) fn drop_database(&self, name: &str) -> Result<()> {
        cmd::output(self.program("dropdb").args(["--if-exists", name])).map(drop)
    }

    /// The address of a database.
    pub(crate) fn url_of(&self, name: &str) -> String {
        format!("postgres://{ACCOUNT}@127.0.0.1:{}/{name}", self.port)
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin_dir.join(name));
        command.args(["--host", "127.0.0.1", "--port", &self.port.to_string(), "--username", ACCOUNT]);
        command
    }

    /// Cleans a database up and gathers its statistics, as the server does by itself sooner or later.
    pub(crate) fn vacuum(&self, name: &str) -> Result<()> {
        cmd::output(self.program("vacuumdb").args(["--analyze", "--quiet", name])).map(drop)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // INT is PostgreSQL's fast shutdown: clients are disconnected, the rest is written, then it ends.
        if !children::stop(&mut self.server, Signal::INT, STOP_PATIENCE) {
            eprintln!("PostgreSQL (process {}) did not stop in time and was killed", self.server.id());
        }
    }
}

/// An empty cluster in a folder that is there.
fn make(bin_dir: &Path, folder: &Path) -> Result<()> {
    if debian::is_root() {
        let (user, group) = account_ids()?;
        std::os::unix::fs::chown(folder, Some(user), Some(group))?;
    }
    let mut command = as_account(&bin_dir.join("initdb"));
    command
        .args(["--auth=trust", "--username", ACCOUNT, "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"])
        .arg("--pgdata")
        .arg(folder.join("data"))
        .current_dir(folder);
    cmd::output(&mut command).map(drop).context("cannot make a PostgreSQL cluster")
}

fn spawn(bin_dir: &Path, folder: &Path, port: u16) -> Result<Child> {
    use std::os::unix::process::CommandExt as _;
    let log = File::options().create(true).append(true).open(folder.join("log"))?;
    let mut command = as_account(&bin_dir.join("postgres"));
    command
        .arg("-D")
        .arg(folder.join("data"))
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-k"])
        .arg(folder)
        .args(["-c", "fsync=on", "-c", &format!("max_connections={CONNECTIONS_MAX}")])
        .current_dir(folder)
        // Out of the terminal's reach: ctrl-c must end the tests first, then we end the server.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    command.spawn().context("cannot start PostgreSQL")
}

/// `program` as an account that PostgreSQL accepts. `setpriv` replaces itself with the program, so the
/// child's id is the server's, and the server gets INT even if we are killed ourselves.
fn as_account(program: &Path) -> Command {
    if cmd::find("setpriv").is_none() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.arg("--pdeathsig=INT");
    if debian::is_root() {
        command.args(["--reuid", ACCOUNT, "--regid", ACCOUNT, "--init-groups"]);
    }
    command.arg(program);
    command
}

fn account_ids() -> Result<(u32, u32)> {
    let accounts = fs::read_to_string("/etc/passwd").context("cannot read the accounts")?;
    parse_account(&accounts, ACCOUNT)
        .with_context(|| format!("root cannot run PostgreSQL, and there is no account `{ACCOUNT}`"))
}

/// User and group id of one line `name:x:uid:gid:…`.
fn parse_account(accounts: &str, name: &str) -> Option<(u32, u32)> {
    let line = accounts.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// A port nobody listens on at this moment; the caller tries again if it is taken meanwhile.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn became_ready(bin_dir: &Path, server: &mut Child, port: u16) -> bool {
    let deadline = Instant::now() + START_PATIENCE;
    while Instant::now() < deadline && !children::interrupted() {
        if !matches!(server.try_wait(), Ok(None)) {
            return false;
        }
        let mut probe = Command::new(bin_dir.join("pg_isready"));
        probe.args(["--quiet", "--host", "127.0.0.1", "--port", &port.to_string()]);
        if probe.status().is_ok_and(|status| status.success()) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(30));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let accounts =
            "root:x:0:0:root:/root:/bin/sh\npostgres2:x:7:8::/:\npostgres:x:114:121:PG:/var:/bin/sh\n";
        assert_eq!(parse_account(accounts, "postgres"), Some((114, 121)));
        assert_eq!(parse_account(accounts, "post"), None);
    }

    #[test]
    fn a_cluster_answers_and_leaves_nothing_behind() {
        let Some(bin_dir) = find_bin_dir() else { return };
        let cluster = Cluster::start(&bin_dir, &std::env::temp_dir()).expect("a cluster");

        let url = cluster.create_database("extra").expect("a database");

        assert!(url.ends_with("/extra"));
        let port = cluster.port;
        drop(cluster);
        assert!(TcpListener::bind(("127.0.0.1", port)).is_ok());
    }

    #[test]
    fn the_version_is_the_folder_above_bin() {
        assert_eq!(major_version(Path::new("/usr/lib/postgresql/15/bin")), 15);
        assert_eq!(major_version(Path::new("/opt/pg/bin")), 0);
    }
}
