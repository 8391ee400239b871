//! `steward doctor`: checks of the installation, each with what to do about it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use steward_gateway::shapes::{CheckState, DoctorCheck, DoctorReport};

use crate::wiring::House;

/// Free space below which work is in danger.
const LOW_DISK_BYTES: u64 = 1 << 30;

/// All checks.
pub(crate) async fn report(house: &House) -> DoctorReport {
    let mut checks = vec![
        home_mode(house.home.root()),
        disk(house.home.root()),
        store(house).await,
        sandbox_backend(house),
    ];
    checks.extend(sandbox_proof(house).await);
    checks.push(providers(house));
    checks.push(local_model(house));
    DoctorReport { checks }
}

/// Mends what can be mended without asking, and reports again.
pub(crate) async fn fix(house: &House) -> DoctorReport {
    let root = house.home.root();
    // A failure shows in the report that follows.
    let _ = std::fs::set_permissions(root, std::fs::Permissions::from_mode(0o700));
    report(house).await
}

fn check(name: &str, state: CheckState, detail: String, fix: &str) -> DoctorCheck {
    DoctorCheck {
        name: name.to_owned(),
        state,
        detail,
        fix: fix.to_owned(),
    }
}

fn home_mode(root: &Path) -> DoctorCheck {
    match std::fs::metadata(root) {
        Ok(metadata) if metadata.permissions().mode() & 0o077 == 0 => {
            check("home", CheckState::Ok, format!("{} is closed to other users", root.display()), "")
        }
        Ok(metadata) => {
            let detail = format!("{} has mode {:o}", root.display(), metadata.permissions().mode() & 0o777);
            check("home", CheckState::Warn, detail, "steward doctor --fix")
        }
        Err(error) => check(
            "home",
            CheckState::Fail,
            format!("{} cannot be read: {error}", root.display()),
            "check the path and its owner",
        ),
    }
}

fn disk(root: &Path) -> DoctorCheck {
    match rustix::fs::statvfs(root) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let state = if free < LOW_DISK_BYTES { CheckState::Warn } else { CheckState::Ok };
            check(
                "disk",
                state,
                format!("{} MiB free", free >> 20),
                if state == CheckState::Ok {
                    ""
                } else {
                    "make room: a full disk refuses new work"
                },
            )
        }
        Err(error) => check("disk", CheckState::Warn, format!("free space is unknown: {error}"), ""),
    }
}

async fn store(house: &House) -> DoctorCheck {
    match house.store.integrity_check().await {
        Ok(faults) if faults.is_empty() => check("store", CheckState::Ok, "every table reads and fits".into(), ""),
        Ok(faults) => check(
            "store",
            CheckState::Fail,
            faults.join("; "),
            "restore a backup: steward backup restore PATH",
        ),
        Err(error) => check("store", CheckState::Fail, error.to_string(), "see the message"),
    }
}

fn sandbox_backend(house: &House) -> DoctorCheck {
    let sandbox = house.bench.sandbox();
    match sandbox.backend() {
        Some(backend) => check("sandbox", CheckState::Ok, format!("{backend}: {}", sandbox.why()), ""),
        None => check(
            "sandbox",
            CheckState::Fail,
            sandbox.why().to_owned(),
            "apt-get install bubblewrap; until then tools that start processes are refused",
        ),
    }
}

async fn sandbox_proof(house: &House) -> Vec<DoctorCheck> {
    let proofs = house.bench.sandbox().prove(house.home.root()).await;
    proofs
        .into_iter()
        .map(|proof| {
            let state = if proof.passed { CheckState::Ok } else { CheckState::Fail };
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

fn providers(house: &House) -> DoctorCheck {
    let catalog = house.router.catalog();
    let mut providers = house.configuration.load().providers.clone();
    crate::default_route::add_keys_of_environment(&catalog, &mut providers);
    let keyed: Vec<&str> = providers
        .iter()
        .filter(|(_, provider)| provider.has_key())
        .map(|(name, _)| name.as_str())
        .collect();
    if keyed.is_empty() {
        return check(
            "providers",
            CheckState::Ok,
            "no provider has a key; the local model answers".into(),
            "",
        );
    }
    check("providers", CheckState::Ok, format!("with a key: {}", keyed.join(", ")), "")
}

fn local_model(house: &House) -> DoctorCheck {
    let installed = house.facts.local_models();
    if installed.is_empty() {
        return check(
            "local model",
            CheckState::Warn,
            "none is installed".into(),
            "steward models pull smollm2-135m",
        );
    }
    check("local model", CheckState::Ok, installed.join(", "), "")
}
