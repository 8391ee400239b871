//! Power cut under load: whatever was acknowledged before is there afterwards and is answered.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use steward_testkit::script::{Reply, Script};
use steward_testkit::scripted_model::ScriptedModelServer;
use tokio::time::{sleep, timeout};

use crate::crash_kills::Sabotage;
use crate::disks::Disk;
use crate::house::{House, Isolation, LOOK_EVERY, Server};
use crate::scale::{Dice, count, seed};

const DISK_MIB: u64 = 96;
/// Sessions that write at once.
const WRITERS: usize = 4;
/// The power goes at the latest after this much work.
const WORK_AT_MOST: Duration = Duration::from_millis(700);
const TURNS_WITHIN: Duration = Duration::from_secs(60);

/// Messages that were acknowledged: session and id.
type Acknowledged = Arc<Mutex<Vec<(String, String)>>>;

/// Runs cycles of work, cut and recovery. Gives the number of acknowledged messages, or says which one is lost.
pub(crate) async fn cycles(wanted: usize, seed: u64, sabotage: Option<Sabotage<'_>>) -> Result<Option<usize>> {
    let Some(mut disk) = Disk::or_skip(DISK_MIB) else { return Ok(None) };
    let model = ScriptedModelServer::start(Script::by_step([Reply::text("Yes.")])).await?;
    let mut house = House::new(&disk.path().join("home"), &model.base_url, "sqlite:steward.db", Isolation::Default)?;
    if let Some(sabotage) = sabotage {
        house = house.sabotaged(sabotage.binary, sabotage.guard);
    }
    // The configuration is there before the power goes: who installs something waits for the disk.
    rustix::fs::sync();
    let mut dice = Dice::new(seed);
    let acknowledged = Acknowledged::default();
    let mut server = house.start_ready().await?;
    for cycle in 0..wanted {
        work(server, &disk, dice.span(WORK_AT_MOST), cycle, &acknowledged).await?;
        disk.power_on()?;
        server = house.start_ready().await.with_context(|| format!("after power cut {cycle}"))?;
        let messages = acknowledged.lock().unwrap().clone();
        check(&server, &messages)
            .await
            .with_context(|| format!("after power cut {cycle}, STEWARD_SEED={seed}"))?;
    }
    server.kill().await?;
    house.clean();
    let total = acknowledged.lock().unwrap().len();
    Ok(Some(total))
}

/// Writes from several sessions until the power goes.
async fn work(server: Server, disk: &Disk, life: Duration, cycle: usize, acknowledged: &Acknowledged) -> Result<()> {
    let server = Arc::new(server);
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (server, acknowledged) = (Arc::clone(&server), Arc::clone(acknowledged));
            tokio::spawn(async move {
                for number in 0.. {
                    let (session, id) = (format!("writer-{writer}"), format!("{cycle}-{number}"));
                    if server.send(&session, &id, "Are you there?").await.is_err() {
                        return;
                    }
                    acknowledged.lock().unwrap().push((session, id));
                }
            })
        })
        .collect();
    sleep(life).await;
    let before_cut = disk.cut_power(|| acknowledged.lock().unwrap().len())?;
    for writer in &writers {
        writer.abort();
    }
    for writer in writers {
        // It was aborted, or had ended when the disk did not answer any more.
        let _ = writer.await;
    }
    acknowledged.lock().unwrap().truncate(before_cut);
    Arc::into_inner(server).context("a writer still holds the server")?.kill().await
}

async fn check(server: &Server, acknowledged: &[(String, String)]) -> Result<()> {
    let mut lost = Vec::new();
    for (session, id) in acknowledged {
        let again = server.send(session, id, "Are you there?").await?;
        if !again.is_duplicate {
            lost.push(format!("{session}/{id}"));
        }
    }
    ensure!(
        lost.is_empty(),
        "{} of {} acknowledged messages are lost: {lost:?}",
        lost.len(),
        acknowledged.len()
    );
    if !acknowledged.is_empty() {
        timeout(TURNS_WITHIN, server.all_turns_over(LOOK_EVERY * 4))
            .await
            .context("open turns did not end by themselves")??;
        for turn in server.turns().await? {
            ensure!(turn["status"] == "done", "a turn ended so: {turn}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_power_cut() -> Result<()> {
    let (wanted, seed) = (count("STEWARD_POWER_CYCLES", 3, 50), seed());
    if let Some(total) = cycles(wanted, seed, None).await? {
        ensure!(total > 0, "nothing was acknowledged, so nothing was tried");
        println!("figure: power cuts: {wanted} on ext4, seed {seed}; {total} acknowledged messages, none lost, all answered");
    }
    Ok(())
}
