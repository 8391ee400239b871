//! SIGKILL at each system call by which something becomes durable or leaves the process, one after the other.
//!
//! `strace` counts the calls of each thread by itself, so a point is the N-th call of whichever thread gets there first.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use steward_store::test_support::PostgresServer;
use steward_testkit::scripted_model::ScriptedModelServer;
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use crate::crash_kills::Rows;
use crate::house::{House, Isolation, LOOK_EVERY, Server};
use crate::scale::{count, is_proof};
use crate::task::Task;
use crate::verdict::{Figures, check_rows, check_task};

/// Calls that make something durable, and calls by which something leaves. Those that a run does not make are passed over.
const CALLS: [&str; 9] = [
    "fdatasync",
    "fsync",
    "pwrite64",
    "rename",
    "renameat",
    "renameat2",
    "sendto",
    "sendmsg",
    "writev",
];
/// With PostgreSQL all that must be durable leaves through its socket.
const CALLS_POSTGRES: [&str; 4] = ["sendto", "sendmsg", "renameat", "writev"];
/// One traced run may take so long.
const RUN_WITHIN: Duration = Duration::from_secs(120);
const CLIENT_ID: &str = "the-one";
const MESSAGE: &str = "Do the twenty steps.";
/// How often a traced server is looked at: rarely, because each answer is a `writev` of its own.
const LOOK_RARELY: Duration = Duration::from_millis(250);

/// A home for one run.
struct Stage {
    _folder: TempDir,
    house: House,
    task: Task,
    model: ScriptedModelServer,
}

impl Stage {
    async fn new(rows: &Rows<'_>, name: &str) -> Result<Self> {
        let folder = TempDir::with_prefix("steward-point-")?;
        let task = Task::fixed();
        let model = ScriptedModelServer::start(task.script()).await?;
        let house = House::new(&folder.path().join("home"), &model.base_url, &rows.url(name)?, Isolation::None)?;
        Ok(Stage {
            _folder: folder,
            house,
            task,
            model,
        })
    }

    /// Runs the task under a tracer until the server is killed or the turn is over. True if it was killed.
    async fn traced(&self, tracer: &[String], is_acknowledged: &mut bool) -> Result<bool> {
        let mut server = self.house.start(tracer)?;
        let work = async {
            if !server.ready().await? {
                return Ok(());
            }
            // The answer is lost where the kill comes first.
            if server.send("points", CLIENT_ID, MESSAGE).await.is_ok() {
                *is_acknowledged = true;
            }
            // The model sees the last step being asked for; only then is the server asked.
            while !server.has_ended()? && !self.is_answered() {
                sleep(LOOK_EVERY).await;
            }
            while !server.has_ended()? && !is_over(&server).await {
                sleep(LOOK_RARELY).await;
            }
            anyhow::Ok(())
        };
        timeout(RUN_WITHIN, work).await.context("the traced turn did not end")??;
        let was_killed = server.has_ended()?;
        server.kill().await?;
        Ok(was_killed)
    }

    fn is_answered(&self) -> bool {
        self.model
            .requests()
            .last()
            .is_some_and(|request| request.step == self.task.steps.len())
    }

    /// Starts without a tracer, gets the message acknowledged if it was not, and checks the end.
    async fn finish(&self, is_acknowledged: bool) -> Result<Figures> {
        let server = self.house.start_ready().await?;
        let first = server.send("points", CLIENT_ID, MESSAGE).await?;
        ensure!(first.is_duplicate || !is_acknowledged, "an acknowledged message was lost");
        timeout(RUN_WITHIN, server.all_turns_over(LOOK_EVERY))
            .await
            .context("the turn did not end by itself")??;
        let again = server.send("points", CLIENT_ID, MESSAGE).await?;
        let turn = again.turn.context("the message has no turn")?;
        let asked = self.model.requests();
        let mut figures = check_task(&self.house, &server, &self.task, &asked).await?;
        server.kill().await?;
        check_rows(&self.house, &self.task, &turn, &mut figures).await?;
        self.house.clean();
        Ok(figures)
    }
}

async fn is_over(server: &Server) -> bool {
    let turns = server.turns().await.unwrap_or_default();
    turns.iter().any(|turn| turn["status"] == "done")
}

fn tracer(file: &Path, call: &str, more: &[String]) -> Vec<String> {
    // Without `--seccomp-bpf`, which is faster and makes strace 6.1 lose count.
    let mut words = ["strace", "-f", "-qq", "-o"].map(str::to_owned).to_vec();
    words.push(file.display().to_string());
    words.extend(["-e".to_owned(), format!("trace={call}"), "-e".to_owned(), "signal=none".to_owned()]);
    words.extend_from_slice(more);
    words
}

/// How often the busiest thread of an undisturbed run makes each call.
async fn counts(rows: &Rows<'_>, calls: &[&'static str]) -> Result<BTreeMap<&'static str, usize>> {
    let stage = Stage::new(rows, "undisturbed").await?;
    let file = stage.house.home.with_extension("trace");
    let mut is_acknowledged = false;
    stage.traced(&tracer(&file, &calls.join(","), &[]), &mut is_acknowledged).await?;
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let text = fs::read_to_string(&file)?;
    for line in text.lines() {
        let Some((thread, rest)) = line.split_once(char::is_whitespace) else {
            continue;
        };
        let name = rest.trim_start().split('(').next().unwrap_or_default();
        if calls.contains(&name) {
            *counts.entry((thread, name)).or_insert(0) += 1;
        }
    }
    let mut busiest = BTreeMap::new();
    for call in calls.iter().copied() {
        let of_call = counts.iter().filter(|((_, name), _)| *name == call).map(|(_, count)| *count);
        if let Some(most) = of_call.max() {
            busiest.insert(call, most);
        }
    }
    stage.finish(is_acknowledged).await.context("the undisturbed run")?;
    Ok(busiest)
}

/// Which of `total` points are tried: all in a proof, else evenly spread ones from the first to the last.
fn points(total: usize, wanted: usize) -> Vec<usize> {
    if wanted >= total {
        return (1..=total).collect();
    }
    let mut points: Vec<usize> = (0..wanted).map(|step| 1 + step * (total - 1) / (wanted - 1).max(1)).collect();
    points.dedup();
    points
}

/// Kills at the N-th call and checks the end; true if the point was reached.
async fn point(rows: &Rows<'_>, call: &str, number: usize) -> Result<(bool, Figures)> {
    let stage = Stage::new(rows, &format!("{call}-{number}")).await?;
    let file = stage.house.home.with_extension("trace");
    let inject = ["-e".to_owned(), format!("inject={call}:signal=SIGKILL:when={number}")];
    let mut is_acknowledged = false;
    let was_killed = stage.traced(&tracer(&file, call, &inject), &mut is_acknowledged).await?;
    Ok((was_killed, stage.finish(is_acknowledged).await?))
}

fn has_strace() -> bool {
    Command::new("strace")
        .arg("-V")
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Every point of these calls, or a sample of them.
async fn kill_at_points(rows: &Rows<'_>, calls: &[&'static str], database: &str) -> Result<()> {
    if !has_strace() {
        println!("skipped: strace is not installed, so crash points cannot be chosen");
        return Ok(());
    }
    let sample = if is_proof() { "all" } else { "a sample" };
    for (call, total) in counts(rows, calls).await? {
        let points = points(total, count("STEWARD_CRASH_POINTS", 6, usize::MAX));
        let (mut killed, mut all) = (0, Figures::default());
        for number in &points {
            let outcome = point(rows, call, *number).await;
            let (was_killed, figures) = outcome.with_context(|| format!("killed at {call} number {number}"))?;
            killed += usize::from(was_killed);
            all.add(figures);
        }
        // The first call is always reached; how often a thread makes the last ones differs from run to run.
        ensure!(killed > 0, "no run was killed at {call}");
        println!(
            "figure: crash points, {call}, {database}: {sample}, {} of {total} tried, {killed} kills, same end each time; {} uncertain and shown, \
             none twice",
            points.len(),
            all.uncertain
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_survives_a_kill_at_every_crash_point() -> Result<()> {
    kill_at_points(&Rows::Sqlite, &CALLS, "SQLite").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_survives_a_kill_at_every_crash_point_on_postgresql() -> Result<()> {
    let server = tokio::task::spawn_blocking(PostgresServer::start)
        .await?
        .map_err(anyhow::Error::msg)?;
    kill_at_points(&Rows::Postgres(&server), &CALLS_POSTGRES, "PostgreSQL").await
}
