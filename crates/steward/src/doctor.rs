//! `steward doctor`: checks of the installation, each with what to do about it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::wiring::House;

/// Free space below which work is in danger.
const LOW_DISK_BYTES: u64 = 1 << 30;

/// All checks.
pub(crate) async fn report(house: &House) -> Value {
    let mut checks = vec![
        home_mode(house.home.root()),
        disk(house.home.root()),
        store(house).await,
        sandbox_backend(house),
    ];
    checks.extend(sandbox_proof(house).await);
    checks.push(providers(house));
    checks.push(local_model(house));
    json!({"checks": checks})
}

/// Mends what can be mended without asking, and reports again.
pub(crate) async fn fix(house: &House) -> Value {
    let root = house.home.root();
    // A failure shows in the report that follows.
    let _ = std::fs::set_permissions(root, std::fs::Permissions::from_mode(0o700));
    report(house).await
}

fn check(name: &str, state: &str, detail: String, fix: &str) -> Value {
    json!({"name": name, "state": state, "detail": detail, "fix": fix})
}

fn home_mode(root: &Path) -> Value {
    match std::fs::metadata(root) {
        Ok(metadata) if metadata.permissions().mode() & 0o077 == 0 => {
            check("home", "ok", format!("{} is closed to other users", root.display()), "")
        }
        Ok(metadata) => {
            let detail = format!("{} has mode {:o}", root.display(), metadata.permissions().mode() & 0o777);
            check("home", "warn", detail, "steward doctor --fix")
        }
        Err(error) => check(
            "home",
            "fail",
            format!("{} cannot be read: {error}", root.display()),
            "check the path and its owner",
        ),
    }
}

fn disk(root: &Path) -> Value {
    match rustix::fs::statvfs(root) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let state = if free < LOW_DISK_BYTES { "warn" } else { "ok" };
            check(
                "disk",
                state,
                format!("{} MiB free", free >> 20),
                if state == "ok" {
                    ""
                } else {
                    "make room: a full disk refuses new work"
                },
            )
        }
        Err(error) => check("disk", "warn", format!("free space is unknown: {error}"), ""),
    }
}

async fn store(house: &House) -> Value {
    match house.store.integrity_check().await {
        Ok(faults) if faults.is_empty() => check("store", "ok", "every table reads and fits".into(), ""),
        Ok(faults) => check("store", "fail", faults.join("; "), "restore a backup: steward backup restore PATH"),
        Err(error) => check("store", "fail", error.to_string(), "see the message"),
    }
}

fn sandbox_backend(house: &House) -> Value {
    let sandbox = house.bench.sandbox();
    match sandbox.backend() {
        Some(backend) => check("sandbox", "ok", format!("{backend}: {}", sandbox.why()), ""),
        None => check(
            "sandbox",
            "fail",
            sandbox.why().to_owned(),
            "apt-get install bubblewrap; until then tools that start processes are refused",
        ),
    }
}

async fn sandbox_proof(house: &House) -> Vec<Value> {
    let proofs = house.bench.sandbox().prove(house.home.root()).await;
    proofs
        .into_iter()
        .map(|proof| {
            let state = if proof.passed { "ok" } else { "fail" };
            check(
                &format!("sandbox: {}", proof.name),
                state,
                proof.detail,
                if proof.passed {
                    ""
                } else {
                    "report this; do not let agents run commands here"
                },
            )
        })
        .collect()
}

fn providers(house: &House) -> Value {
    let catalog = house.router.catalog();
    let mut providers = house.configuration.load().providers.clone();
    crate::default_route::add_keys_of_environment(&catalog, &mut providers);
    let keyed: Vec<&str> = providers
        .iter()
        .filter(|(_, provider)| provider.has_key())
        .map(|(name, _)| name.as_str())
        .collect();
    if keyed.is_empty() {
        return check("providers", "ok", "no provider has a key; the local model answers".into(), "");
    }
    check("providers", "ok", format!("with a key: {}", keyed.join(", ")), "")
}

fn local_model(house: &House) -> Value {
    let installed = house.facts.local_models();
    if installed.is_empty() {
        return check(
            "local model",
            "warn",
            "none is installed".into(),
            "steward models pull smollm2-135m",
        );
    }
    check("local model", "ok", installed.join(", "), "")
}
