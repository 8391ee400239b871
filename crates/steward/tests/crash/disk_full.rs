//! A disk that fills up: new work is refused in plain words, nothing is half written, and with room everything goes on.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use steward_testkit::scripted_model::ScriptedModelServer;
use tokio::time::{sleep, timeout};

use crate::disks::Disk;
use crate::house::{House, Isolation, LOOK_EVERY, Server};
use crate::task::Task;
use crate::verdict::check_effects;

const DISK_MIB: u64 = 24;
const TURNS_WITHIN: Duration = Duration::from_secs(60);
/// How long the disk stays full while a turn is open.
const FULL_FOR: Duration = Duration::from_secs(7);
/// Messages that may find room in what the database has allocated already.
const TRIES: usize = 64;

struct Stage {
    disk: Disk,
    house: House,
    model: ScriptedModelServer,
}

impl Stage {
    async fn new(task: Task, delay_first_ms: u64) -> Result<Option<Self>> {
        let Some(disk) = Disk::or_skip(DISK_MIB) else { return Ok(None) };
        let mut script = task.script();
        for reply in &mut script.replies {
            reply.delay_first_ms = delay_first_ms;
        }
        let model = ScriptedModelServer::start(script).await?;
        let house = House::new(&disk.path().join("home"), &model.base_url, "sqlite:steward.db", Isolation::Default)?;
        Ok(Some(Stage { disk, house, model }))
    }
}

/// Sends long messages until one is refused; gives its number and what was said.
async fn until_refused(server: &Server) -> Result<(usize, u16, String)> {
    for number in 0..TRIES {
        let body = json!({"client_id": format!("long-{number}"), "text": format!("{number} {}", "word ".repeat(40_000))});
        let (status, answer) = server.post("/api/sessions/long/messages", &body).await?;
        if status != 202 {
            return Ok((number, status, answer["error"]["message"].as_str().unwrap_or_default().to_owned()));
        }
    }
    anyhow::bail!("{TRIES} messages of 200 kB were taken by a full disk")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_new_work_and_goes_on_when_there_is_room() -> Result<()> {
    let Some(stage) = Stage::new(Task { steps: Vec::new() }, 0).await? else {
        return Ok(());
    };
    let server = stage.house.start_ready().await?;
    let filler = stage.disk.fill()?;
    let (number, status, said) = until_refused(&server).await?;
    ensure!(status == 503, "a full disk was answered {status}: {said}");
    ensure!(said.contains("disk is full"), "a full disk was explained so: {said}");
    fs::remove_file(filler)?;
    let refused = format!("long-{number}");
    let sent = timeout(TURNS_WITHIN, async {
        loop {
            // The store may need a moment to see that there is room.
            match server.send("long", &refused, "Short now.").await {
                Ok(taken) => return taken,
                Err(_) => sleep(LOOK_EVERY * 10).await,
            }
        }
    });
    let taken = sent.await.context("with room again, new work is still refused")?;
    ensure!(!taken.is_duplicate, "the refused message had been stored");
    timeout(TURNS_WITHIN, server.all_turns_over(LOOK_EVERY))
        .await
        .context("with room again, the turn does not end")??;
    server.kill().await?;
    let server = stage.house.start_ready().await?;
    for turn in server.turns().await? {
        ensure!(turn["status"] == "done", "a turn ended so: {turn}");
    }
    server.kill().await?;
    stage.house.clean();
    println!("figure: disk full: refused with 503 after {number} messages, \"{said}\"; went on with room");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_meets_a_full_disk_waits_for_room_without_paying() -> Result<()> {
    let Some(stage) = Stage::new(Task::mixed(), 150).await? else {
        return Ok(());
    };
    let server = stage.house.start_ready().await?;
    let first = server.send("turn", "the-one", "Do the twelve steps.").await?;
    ensure!(!first.is_duplicate, "a first message was taken for a second");
    while stage.model.requests().len() < 2 {
        sleep(LOOK_EVERY).await;
    }
    let filler = stage.disk.fill()?;
    // What the database has allocated may carry the turn on for a while; long messages use that up.
    let (number, ..) = until_refused(&server).await?;
    sleep(Duration::from_secs(1)).await;
    let before = stage.model.requests().len();
    sleep(FULL_FOR).await;
    let asked_meanwhile = stage.model.requests().len() - before;
    fs::remove_file(filler)?;
    timeout(TURNS_WITHIN, server.all_turns_over(LOOK_EVERY * 4))
        .await
        .context("with room again, the turn does not end")??;
    println!("figure: disk full in a turn: {asked_meanwhile} model requests in {FULL_FOR:?} of a full disk ({number} messages fitted)");
    ensure!(
        asked_meanwhile <= 1,
        "{asked_meanwhile} model calls were paid for whose answers could not be kept"
    );
    let turns = server.turns().await?;
    let turn = turns.iter().find(|turn| turn["session"] == "turn").context("the turn is gone")?;
    ensure!(turn["status"] == "done", "the turn ended so: {turn}");
    check_effects(&stage.house)?;
    server.kill().await?;
    stage.house.clean();
    Ok(())
}
