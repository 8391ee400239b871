//! SIGKILL at random instants, also while the last kill is being recovered from, until the turn has ended by itself.

use std::time::Duration;

use anyhow::{Context, Result};
use steward_store::test_support::PostgresServer;
use steward_testkit::scripted_model::ScriptedModelServer;
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use crate::house::{House, Isolation, LOOK_EVERY, Server};
use crate::scale::{Dice, count, seed};
use crate::task::Task;
use crate::verdict::{Figures, check_rows, check_task};

/// One turn may take so long, all its kills and starts included.
const TURN_WITHIN: Duration = Duration::from_secs(180);
/// The message, the same each time it is resent.
const CLIENT_ID: &str = "the-one";
const MESSAGE: &str = "Do the twelve steps.";

/// Where the rows are.
pub(crate) enum Rows<'a> {
    Sqlite,
    Postgres(&'a PostgresServer),
}

impl Rows<'_> {
    /// The URL of rows of their own; on PostgreSQL a new database of this name.
    pub(crate) fn url(&self, name: &str) -> Result<String> {
        match self {
            Rows::Sqlite => Ok("sqlite:steward.db".to_owned()),
            Rows::Postgres(server) => server.create_database(name).map_err(anyhow::Error::msg),
        }
    }
}

/// A build without a guard.
#[derive(Clone, Copy)]
pub(crate) struct Sabotage<'a> {
    pub(crate) binary: &'a std::path::Path,
    pub(crate) guard: &'static str,
}

/// A run of kills.
pub(crate) struct Run<'a> {
    pub(crate) rows: Rows<'a>,
    pub(crate) kills: usize,
    pub(crate) seed: u64,
    pub(crate) sabotage: Option<Sabotage<'a>>,
}

/// How long an undisturbed start and an undisturbed turn take here.
#[derive(Clone, Copy, Debug)]
struct Pace {
    start: Duration,
    turn: Duration,
}

/// What a run came to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) kills: usize,
    pub(crate) early_kills: usize,
    pub(crate) turns: usize,
    pub(crate) figures: Figures,
}

impl Run<'_> {
    /// Runs turns until there were as many kills as wanted.
    pub(crate) async fn run(&self) -> Result<Outcome> {
        let mut dice = Dice::new(self.seed);
        let mut outcome = Outcome::default();
        let mut pace = None;
        while outcome.kills < self.kills {
            let number = outcome.turns;
            outcome.turns += 1;
            let turn = self.turn(number, &mut pace, &mut dice, &mut outcome);
            let figures = timeout(TURN_WITHIN, turn)
                .await
                .map_err(|_| anyhow::anyhow!("the turn was not over after {TURN_WITHIN:?}"))
                .and_then(|ended| ended)
                .with_context(|| format!("turn {number}, after {} kills, STEWARD_SEED={}", outcome.kills, self.seed))?;
            outcome.figures.add(figures);
        }
        Ok(outcome)
    }

    /// One home, one message, one turn; the first of a run is left in peace to learn the pace.
    async fn turn(&self, number: usize, pace: &mut Option<Pace>, dice: &mut Dice, outcome: &mut Outcome) -> Result<Figures> {
        let folder = TempDir::with_prefix("steward-crash-")?;
        let task = Task::mixed();
        let model = ScriptedModelServer::start(task.script()).await?;
        let mut house = House::new(
            &folder.path().join("home"),
            &model.base_url,
            &self.rows.url(&format!("turn{number}"))?,
            Isolation::Default,
        )?;
        if let Some(sabotage) = self.sabotage {
            house = house.sabotaged(sabotage.binary, sabotage.guard);
        }
        let mut is_acknowledged = false;
        let begun = Instant::now();
        let server = loop {
            let mut server = house.start(&[])?;
            let life = match pace {
                Some(pace) if outcome.kills < self.kills => life(*pace, dice),
                Some(_) | None => TURN_WITHIN,
            };
            let work = until_over(&mut server, &mut is_acknowledged);
            match timeout(life, work).await {
                Ok(over) => {
                    let started = over.with_context(|| house.last_log())?;
                    pace.get_or_insert_with(|| Pace {
                        start: started - begun,
                        turn: started.elapsed(),
                    });
                    break server;
                }
                Err(_) => {
                    let was_ready = server.is_ready();
                    server.kill().await?;
                    outcome.kills += 1;
                    outcome.early_kills += usize::from(!was_ready);
                }
            }
        };
        let figures = verdict(&house, server, &task, &model).await;
        if figures.is_ok() {
            house.clean();
        }
        figures
    }
}

/// A third of the kills come during start and recovery, the others anywhere in what may be left of the turn.
fn life(pace: Pace, dice: &mut Dice) -> Duration {
    if dice.below(3) == 0 {
        return dice.span(pace.start * 3 / 2);
    }
    pace.start + dice.span(pace.turn)
}

/// Gets the message acknowledged, resent with its id as often as need be, and waits for the end. Gives when the server was ready.
async fn until_over(server: &mut Server, is_acknowledged: &mut bool) -> Result<Instant> {
    anyhow::ensure!(server.ready().await?, "the server ended by itself");
    let ready = Instant::now();
    if !*is_acknowledged {
        server.send("kills", CLIENT_ID, MESSAGE).await?;
        *is_acknowledged = true;
    }
    server.all_turns_over(LOOK_EVERY * 3).await?;
    Ok(ready)
}

/// The turn is over: one more kill and a resent message change nothing, and everything adds up.
async fn verdict(house: &House, server: Server, task: &Task, model: &ScriptedModelServer) -> Result<Figures> {
    server.kill().await?;
    let server = house.start_ready().await?;
    let again = server.send("kills", CLIENT_ID, MESSAGE).await?;
    anyhow::ensure!(again.is_duplicate, "the resent message was taken for a new one");
    server.all_turns_over(LOOK_EVERY).await?;
    let asked = model.requests();
    let mut figures = check_task(house, &server, task, &asked).await?;
    let turn = again.turn.context("the message has no turn")?;
    server.kill().await?;
    check_rows(house, task, &turn, &mut figures).await?;
    Ok(figures)
}

impl Outcome {
    fn print(&self, name: &str, seed: u64) {
        let figures = self.figures;
        println!(
            "figure: {name}: {} kills ({} before it served) over {} turns of 12 steps, seed {seed}; {} effects once, {} uncertain and shown, \
             none twice; {} model requests, {} of them made again before their step was durable, {} without a ledger row, {} rows without a \
             request; {} half-written files left beside the real ones",
            self.kills,
            self.early_kills,
            self.turns,
            figures.effects,
            figures.uncertain,
            figures.requests,
            figures.asked_again,
            figures.unbooked,
            figures.never_left,
            figures.left_files
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_survives_kills_at_random_instants() -> Result<()> {
    let run = Run {
        rows: Rows::Sqlite,
        kills: count("STEWARD_CRASH_KILLS", 12, 200),
        seed: seed(),
        sabotage: None,
    };
    run.run().await?.print("random kills, SQLite", run.seed);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_survives_kills_at_random_instants_on_postgresql() -> Result<()> {
    let server = tokio::task::spawn_blocking(PostgresServer::start)
        .await?
        .map_err(anyhow::Error::msg)?;
    let run = Run {
        rows: Rows::Postgres(&server),
        kills: count("STEWARD_CRASH_KILLS_POSTGRES", 4, 50),
        seed: seed(),
        sabotage: None,
    };
    run.run().await?.print("random kills, PostgreSQL", run.seed);
    Ok(())
}
