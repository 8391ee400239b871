//! What must be true of a turn that was killed and went on: seen over the API, in the workspace, in the rows and by the model.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use steward_domain::clock::Timestamp;
use steward_domain::id::TurnId;
use steward_domain::journal::JournalEvent;
use steward_domain::money::Usd;
use steward_store::ledger::{LedgerRow, LedgerState};
use steward_store::{Store, inbox, journal, ledger};
use steward_testkit::record::RecordedRequest;

use crate::house::{House, Server};
use crate::task::{EFFECTS, LAST_WORDS, Task, Work};

/// Figures of one turn, or of several added up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    /// Effects that happened, each once.
    pub(crate) effects: usize,
    /// Calls that ended uncertain, each shown to the model.
    pub(crate) uncertain: usize,
    /// Requests to the model.
    pub(crate) requests: usize,
    /// Requests made again because a kill came before the step was durable.
    pub(crate) asked_again: usize,
    /// Requests without a row in the ledger: killed before the row was durable.
    pub(crate) unbooked: usize,
    /// Rows in the ledger of requests that never left: killed in between. They are flagged as estimates.
    pub(crate) never_left: usize,
    /// Half-written files that kills left beside the real ones.
    pub(crate) left_files: usize,
}

impl Figures {
    /// Adds those of another turn.
    pub(crate) fn add(&mut self, other: Figures) {
        self.effects += other.effects;
        self.uncertain += other.uncertain;
        self.requests += other.requests;
        self.asked_again += other.asked_again;
        self.unbooked += other.unbooked;
        self.never_left += other.never_left;
        self.left_files += other.left_files;
    }
}

/// Looks at the finished task through the API, in the workspace and at what the model was asked.
pub(crate) async fn check_task(house: &House, server: &Server, task: &Task, asked: &[RecordedRequest]) -> Result<Figures> {
    let turns = server.turns().await?;
    ensure!(turns.len() == 1, "one message made {} turns", turns.len());
    ensure!(turns[0]["status"] == "done", "the turn ended so: {}", turns[0]);
    let id = turns[0]["id"].as_str().context("a turn without an id")?;
    let turn = server.get(&format!("/api/turns/{id}")).await?;
    ensure!(turn["text"] == LAST_WORDS, "the reply is {}", turn["text"]);
    let steps = turn["steps"].as_array().context("a turn without steps")?;
    let numbers: Vec<u64> = steps.iter().filter_map(|step| step["step"].as_u64()).collect();
    let wanted: Vec<u64> = (1..=task.steps.len() as u64 + 1).collect();
    ensure!(numbers == wanted, "the steps are {numbers:?}");
    let mut figures = Figures {
        requests: asked.len(),
        ..Figures::default()
    };
    let effects = effect_counts(house);
    for (position, works) in task.steps.iter().enumerate() {
        let calls = steps[position]["calls"].as_array().context("a step without calls")?;
        ensure!(calls.len() == works.len(), "step {} has {} calls", position + 1, calls.len());
        for (work, call) in works.iter().zip(calls) {
            check_call(work, call, &effects, &mut figures)?;
            if call["outcome"] == "uncertain" {
                let was_shown = asked
                    .iter()
                    .any(|request| request.step > position && request.body.to_string().contains("uncertain: "));
                ensure!(was_shown, "the model was not told that {work:?} is uncertain");
            }
        }
    }
    check_files(house, task)?;
    figures.left_files = left_files(house)?;
    figures.asked_again = check_requests(task, asked)?;
    Ok(figures)
}

fn check_call(work: &Work, call: &Value, effects: &BTreeMap<String, usize>, figures: &mut Figures) -> Result<()> {
    let outcome = call["outcome"].as_str().unwrap_or("open");
    let Work::Effect(line) = work else {
        ensure!(outcome == "done", "{work:?} ended {outcome}: {}", call["output"]);
        return Ok(());
    };
    let times = effects.get(line).copied().unwrap_or(0);
    ensure!(times <= 1, "the effect {line} happened {times} times, its call is {outcome}");
    figures.effects += times;
    match outcome {
        "done" => ensure!(times == 1, "the effect {line} is reported done and did not happen"),
        "uncertain" => figures.uncertain += 1,
        other => anyhow::bail!("the effect {line} ended {other}: {}", call["output"]),
    }
    Ok(())
}

/// No effect happened twice, whatever became of the turn.
pub(crate) fn check_effects(house: &House) -> Result<()> {
    for (line, times) in effect_counts(house) {
        ensure!(times == 1, "the effect {line} happened {times} times");
    }
    Ok(())
}

/// How often each effect happened.
fn effect_counts(house: &House) -> BTreeMap<String, usize> {
    let text = fs::read_to_string(house.workspace().join(EFFECTS)).unwrap_or_default();
    let mut counts = BTreeMap::new();
    for line in text.lines() {
        *counts.entry(line.to_owned()).or_insert(0) += 1;
    }
    counts
}

fn check_files(house: &House, task: &Task) -> Result<()> {
    let wanted = task.files();
    for (path, content) in &wanted {
        let found = fs::read_to_string(house.workspace().join(path)).with_context(|| format!("{path} is missing"))?;
        ensure!(found == *content, "{path} holds {found:?}");
    }
    Ok(())
}

/// Half-written files beside the real ones. The tools hide them; they are counted so that a person knows.
fn left_files(house: &House) -> Result<usize> {
    let mut left = 0;
    for entry in fs::read_dir(house.workspace())? {
        left += usize::from(entry?.file_name().to_string_lossy().starts_with(".steward-writing-"));
    }
    Ok(left)
}

/// No step is asked for once a later one was: it was durable then. Gives how many were asked for again before that.
fn check_requests(task: &Task, asked: &[RecordedRequest]) -> Result<usize> {
    let mut latest = 0;
    let mut again = 0;
    for (position, request) in asked.iter().enumerate() {
        ensure!(
            request.step >= latest,
            "step {} was asked for, and paid for, again after step {}",
            request.step + 1,
            latest + 1
        );
        if position > 0 && request.step == latest {
            again += 1;
        }
        latest = request.step;
    }
    ensure!(latest == task.steps.len(), "the last step asked for is {}", latest + 1);
    Ok(again)
}

/// Looks into the rows of a house whose server is gone. Adds to the figures what the ledger and the model see differently.
pub(crate) async fn check_rows(house: &House, task: &Task, turn: &str, figures: &mut Figures) -> Result<()> {
    let url = house.store_url.clone();
    let store = tokio::task::spawn_blocking(move || Store::open(&url, Timestamp::now())).await??;
    let id = TurnId::from_text(turn.to_owned());
    let rows = store.read(move |tx| {
        let waiting = inbox::sessions_with_waiting(tx)?;
        Ok((
            waiting,
            inbox::of_turn(tx, &id)?,
            journal::of_turn(tx, &id)?,
            ledger::of_turn(tx, &id)?,
        ))
    });
    let (waiting, taken, events, booked) = rows.await?;
    let problems = store.integrity_check().await?;
    tokio::task::spawn_blocking(move || drop(store)).await?;
    ensure!(problems.is_empty(), "the database is damaged: {problems:?}");
    ensure!(waiting.is_empty(), "a message waits and no turn takes it");
    ensure!(taken.len() == 1, "the inbox has the message {} times", taken.len());
    let count = |is_it: fn(&JournalEvent) -> bool| events.iter().filter(|row| is_it(&row.event)).count();
    let started = count(|event| matches!(event, JournalEvent::TurnStarted { .. }));
    let finished = count(|event| matches!(event, JournalEvent::TurnFinished { .. }));
    ensure!(
        (started, finished) == (1, 1),
        "the turn began {started} times and was answered {finished} times"
    );
    check_ledger(task, &events.into_iter().map(|row| row.event).collect::<Vec<_>>(), &booked)?;
    figures.unbooked = figures.requests.saturating_sub(booked.len());
    figures.never_left = booked.len().saturating_sub(figures.requests);
    Ok(())
}

/// Every step has its row with its cost; what is left is what a kill cut off, settled all the same.
fn check_ledger(task: &Task, events: &[JournalEvent], booked: &[LedgerRow]) -> Result<()> {
    let open = booked.iter().filter(|row| row.state != LedgerState::Settled).count();
    ensure!(open == 0, "{open} rows of the ledger are not settled");
    let mut steps = 0;
    for event in events {
        let JournalEvent::StepFinished { request, cost, .. } = event else {
            continue;
        };
        steps += 1;
        let row = booked.iter().find(|row| row.reservation.request == *request);
        let row = row.with_context(|| format!("step {steps} has no row in the ledger"))?;
        ensure!(
            row.settlement.cost == *cost,
            "step {steps} cost {cost}, its row says {}",
            row.settlement.cost
        );
        ensure!(*cost > Usd::ZERO, "step {steps} cost nothing");
    }
    ensure!(steps == task.steps.len() + 1, "the journal has {steps} steps");
    Ok(())
}
