//! Controls: against a build with one guard taken out, each proof must fail. A proof that cannot fail shows nothing.
//!
//! The build takes minutes where nothing of it is there, so controls belong to `make prove`; `STEWARD_SABOTAGED_BIN` names one that is there.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::crash_kills::{Rows, Run, Sabotage};
use crate::power_loss;
use crate::scale::{is_proof, seed};

/// Kills by which a missing guard must have been noticed.
const KILLS: usize = 60;
const POWER_CUTS: usize = 6;

/// The build with the feature `sabotage`, in a target folder of its own so that no other test meets it.
fn sabotaged_binary() -> Result<Option<PathBuf>> {
    if let Some(named) = std::env::var_os("STEWARD_SABOTAGED_BIN") {
        return Ok(Some(PathBuf::from(named)));
    }
    if !is_proof() {
        println!("skipped: controls are part of `make prove`, or of any run with STEWARD_SABOTAGED_BIN");
        return Ok(None);
    }
    let tests = std::env::current_exe()?;
    let target = tests
        .ancestors()
        .find(|folder| folder.file_name().is_some_and(|name| name == "target"));
    let target = target.context("the tests do not run from a target folder")?.join("sabotage");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build
        .args([
            "build",
            "--package",
            "steward",
            "--bin",
            "steward",
            "--features",
            "sabotage",
            "--target-dir",
        ])
        .arg(&target);
    build.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")));
    ensure!(build.status()?.success(), "the build for the controls failed");
    Ok(Some(target.join("debug/steward")))
}

/// Random kills against a build without `guard` must fail with one of `words` in the reason.
async fn kills_must_notice(guard: &'static str, words: &[&str]) -> Result<()> {
    let Some(binary) = tokio::task::spawn_blocking(sabotaged_binary).await?? else {
        return Ok(());
    };
    let run = Run {
        rows: Rows::Sqlite,
        kills: KILLS,
        seed: seed(),
        sabotage: Some(Sabotage { binary: &binary, guard }),
    };
    let reason = match run.run().await {
        Ok(outcome) => anyhow::bail!("without the guard {guard:?} the proof passes: {outcome:?}"),
        Err(reason) => format!("{reason:#}"),
    };
    ensure!(
        words.iter().any(|word| reason.contains(word)),
        "it failed for another reason: {reason}"
    );
    println!("figure: control, {guard} taken out: noticed: {}", reason.replace('\n', " "));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_control_without_durable_intents_an_effect_happens_twice() -> Result<()> {
    kills_must_notice("intent", &["happened 2 times", "happened 3 times"]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_control_without_durable_results_a_step_is_paid_twice() -> Result<()> {
    kills_must_notice("results", &["again after step", "happened 2 times", "happened 3 times"]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_control_with_every_call_repeatable_an_effect_happens_twice() -> Result<()> {
    kills_must_notice("repeats", &["happened 2 times", "happened 3 times"]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_control_without_sync_a_power_cut_loses_messages() -> Result<()> {
    let Some(binary) = tokio::task::spawn_blocking(sabotaged_binary).await?? else {
        return Ok(());
    };
    let sabotage = Sabotage {
        binary: &binary,
        guard: "sync",
    };
    let reason = match power_loss::cycles(POWER_CUTS, seed(), Some(sabotage)).await {
        Ok(None) => return Ok(()),
        Ok(Some(total)) => anyhow::bail!("without syncs {POWER_CUTS} power cuts lost none of {total} messages"),
        Err(reason) => format!("{reason:#}"),
    };
    let is_noticed = reason.contains("acknowledged messages are lost") || reason.contains("database");
    ensure!(is_noticed, "it failed for another reason: {reason}");
    let short: String = reason.chars().take(160).collect();
    println!("figure: control, sync taken out: noticed: {}", short.replace('\n', " "));
    Ok(())
}
