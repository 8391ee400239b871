//! Starts a PostgreSQL server of its own for a test, from what the system has installed.
//!
//! The server listens on a Unix socket in a temporary folder only, and ends with the value that stands for it.
//! It needs no network, no root and no configuration; as root it runs as an ordinary user, which PostgreSQL insists on.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

const START_WITHIN: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);
/// Users a server may run as where the tests run as root, the first that exists.
const ORDINARY_USERS: [&str; 2] = ["postgres", "nobody"];

/// A running server. Dropping it stops the server and removes its folder.
#[derive(Debug)]
pub struct PostgresServer {
    folder: TempDir,
    tools: PathBuf,
    run_as: Option<String>,
    server: Option<Child>,
}

impl PostgresServer {
    /// Makes a cluster and starts it.
    ///
    /// # Errors
    /// A sentence for the developer: PostgreSQL is not installed, or its own words on why it does not start.
    pub fn start() -> Result<Self, String> {
        let tools = find_tools().ok_or("the tests need a PostgreSQL server on this machine: apt-get install postgresql")?;
        let folder = TempDir::with_prefix("steward-pg-").map_err(|error| format!("cannot make a folder for PostgreSQL: {error}"))?;
        let run_as = ordinary_user()?;
        let mut server = PostgresServer {
            folder,
            tools,
            run_as,
            server: None,
        };
        server
            .prepare_folder()
            .map_err(|error| format!("cannot prepare the folder of PostgreSQL: {error}"))?;
        server.init()?;
        server.boot()?;
        Ok(server)
    }

    /// Makes an empty database and gives its URL for `Store::open`.
    ///
    /// # Errors
    /// PostgreSQL's own words on why it could not be made.
    pub fn create_database(&self, name: &str) -> Result<String, String> {
        self.sql("postgres", &format!("CREATE DATABASE \"{name}\""))?;
        Ok(self.url(name))
    }

    /// The URL of a database of this server.
    pub fn url(&self, database: &str) -> String {
        let socket = self.socket_folder();
        let socket = socket.to_string_lossy().replace('/', "%2F");
        format!("postgres://steward@{socket}/{database}")
    }

    /// Runs one statement in a database with `psql` and gives its output, unaligned and without headers.
    ///
    /// # Errors
    /// PostgreSQL's own words.
    pub fn sql(&self, database: &str, statement: &str) -> Result<String, String> {
        let mut command = self.command("psql");
        command.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "steward",
            "-d",
            database,
            "-c",
            statement,
        ]);
        command.arg("-h").arg(self.socket_folder());
        let output = run(command)?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Kills the server as a crash would, with all that is in its memory.
    pub fn kill(&mut self) {
        if self.server.is_some() {
            self.control(["stop", "-m", "immediate"]);
            self.reap();
        }
    }

    /// Starts the server again after [`PostgresServer::kill`].
    ///
    /// # Errors
    /// PostgreSQL's own words on why it does not start.
    pub fn restart(&mut self) -> Result<(), String> {
        self.kill();
        self.boot()
    }

    fn data_folder(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn socket_folder(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn prepare_folder(&self) -> io::Result<()> {
        fs::create_dir(self.data_folder())?;
        fs::create_dir(self.socket_folder())?;
        if let Some(user) = &self.run_as {
            fs::set_permissions(self.folder.path(), fs::Permissions::from_mode(0o755))?;
            let mut chown = Command::new("chown");
            chown.arg("-R").arg(user).arg(self.folder.path());
            run(chown).map_err(io::Error::other)?;
        }
        fs::set_permissions(self.data_folder(), fs::Permissions::from_mode(0o700))
    }

    fn init(&self) -> Result<(), String> {
        let mut command = self.command("initdb");
        command.args([
            "--username=steward",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            "--data-checksums",
        ]);
        command.arg("-D").arg(self.data_folder());
        run(command).map(|_| ())
    }

    fn boot(&mut self) -> Result<(), String> {
        let log = fs::File::create(self.log()).map_err(|error| format!("cannot make PostgreSQL's log: {error}"))?;
        let copy = log.try_clone().map_err(|error| format!("cannot share PostgreSQL's log: {error}"))?;
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data_folder()).arg("-k").arg(self.socket_folder());
        command.args(["-c", "listen_addresses=", "-c", "shared_buffers=32MB", "-c", "max_connections=100"]);
        command.stdin(Stdio::null()).stdout(log).stderr(copy);
        let child = command.spawn().map_err(|error| format!("cannot start postgres: {error}"))?;
        self.server = Some(child);
        self.wait_until_ready()
    }

    fn wait_until_ready(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + START_WITHIN;
        loop {
            if self.sql("postgres", "SELECT 1").is_ok() {
                return Ok(());
            }
            let ended = self.server.as_mut().and_then(|server| server.try_wait().ok().flatten());
            let is_late = Instant::now() > deadline;
            if ended.is_some() || is_late {
                let log = fs::read_to_string(self.log()).unwrap_or_default();
                return Err(format!("PostgreSQL did not start: {log}"));
            }
            thread::sleep(POLL);
        }
    }

    /// A tool of PostgreSQL, as an ordinary user where we are root.
    fn command(&self, tool: &str) -> Command {
        let path = self.tools.join(tool);
        let mut command = match &self.run_as {
            Some(user) => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", user, "--clear-groups", "--"]).arg(path);
                command
            }
            None => Command::new(path),
        };
        // The folder of the test may be closed to that user.
        command.current_dir("/");
        command
    }

    fn control<const N: usize>(&self, words: [&str; N]) {
        let mut command = self.command("pg_ctl");
        command.args(words).arg("-w").arg("-D").arg(self.data_folder());
        if let Err(error) = run(command) {
            tracing::warn!(error, "pg_ctl could not stop the server of a test");
        }
    }

    fn reap(&mut self) {
        if let Some(mut server) = self.server.take()
            && let Err(error) = server.wait()
        {
            tracing::warn!(%error, "the server of a test could not be waited for");
        }
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn find_tools() -> Option<PathBuf> {
    let has_tools = |folder: &Path| {
        ["initdb", "postgres", "pg_ctl", "psql"]
            .iter()
            .all(|tool| folder.join(tool).is_file())
    };
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path().join("bin")))
        .collect();
    versions.sort();
    let newest = versions.into_iter().rev().find(|folder| has_tools(folder));
    newest.or_else(|| find_on_path(has_tools))
}

// The initdb on PATH may be a link; the tools stand where it leads.
fn find_on_path(has_tools: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let output = Command::new("sh").args(["-c", "command -v initdb"]).output().ok()?;
    let found = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let real = fs::canonicalize(&found).ok()?;
    let folders = [real.parent(), found.parent()];
    folders.into_iter().flatten().find(|folder| has_tools(folder)).map(Path::to_owned)
}

/// Whom to run as: nobody else where we are not root.
fn ordinary_user() -> Result<Option<String>, String> {
    let whoami = run(with_args("id", &["-u"]))?;
    let is_root = String::from_utf8_lossy(&whoami.stdout).trim() == "0";
    if !is_root {
        return Ok(None);
    }
    let found = ORDINARY_USERS.iter().find(|user| run(with_args("id", &["-u", user])).is_ok());
    match found {
        Some(user) => Ok(Some((*user).to_owned())),
        None => Err("PostgreSQL does not run as root and this machine has neither a user postgres nor nobody".to_owned()),
    }
}

fn with_args(program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args);
    command
}

fn run(mut command: Command) -> Result<Output, String> {
    let program = format!("{command:?}");
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot run {program}: {error}"))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{program} failed: {}", words.trim()));
    }
    Ok(output)
}
