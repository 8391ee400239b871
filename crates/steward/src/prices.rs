//! The list of prices in force: the program's, or the one that the operator put in its place.
//!
//! Nothing is fetched here; a list arrives as text, and takes effect only when that is asked for.

use std::io::ErrorKind;

use anyhow::{Context, Result};
use steward_domain::clock::Clock;
use steward_gateway::operations::CatalogueText;
use steward_gateway::shapes::{CatalogueList, List, RefreshedCatalogue};
use steward_inference::catalog::Catalog;
use steward_inference::catalog::difference::Difference;
use steward_inference::catalog::import;
use steward_inference::catalog::snapshot::Snapshot;
use steward_runtime::error::ServiceError;

use crate::home::Home;
use crate::operations::failed;
use crate::system_clock::SystemClock;
use crate::whole_file;
use crate::wiring::House;

/// The list of the home, else the program's.
pub(crate) fn in_force(home: &Home) -> Result<Snapshot> {
    let file = home.prices_file();
    let remedy = || format!("{} is of no use; remove it to go back to the prices of the program", file.display());
    match std::fs::read_to_string(&file) {
        Ok(text) => Snapshot::parse(text).with_context(remedy),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Snapshot::shipped()),
        Err(error) => Err(error).with_context(remedy),
    }
}

/// The lists, the one that goes before the others first.
pub(crate) fn lists(house: &House) -> List<CatalogueList> {
    let catalog = house.router.catalog();
    let (short, wide) = (catalog.short_origin(), catalog.wide());
    let short = CatalogueList {
        version: catalog.snapshot().to_owned(),
        origin: short,
        models: catalog.short_count(),
        from: "program".to_owned(),
    };
    let long = CatalogueList {
        version: wide.origin().version(),
        origin: wide.origin().clone(),
        models: wide.names().count(),
        from: if wide.is_shipped() { "program" } else { "operator" }.to_owned(),
    };
    let items = if wide.is_shipped() { vec![short, long] } else { vec![long, short] };
    List { items }
}

/// Compares another list with the prices in force, and puts it in place where that is asked for.
pub(crate) fn refresh(house: &House, wanted: CatalogueText) -> Result<RefreshedCatalogue, ServiceError> {
    let overrides = &house.configuration.load().models;
    let today = SystemClock.now().strftime("%Y-%m-%d").to_string();
    let next = match wanted.text {
        Some(text) => import::read(text, &today).map_err(|bad| ServiceError::Invalid(bad.to_string()))?,
        None => Snapshot::shipped(),
    };
    let after = Catalog::load_with(overrides, next.clone()).map_err(|error| ServiceError::Invalid(error.to_string()))?;
    let refreshed = RefreshedCatalogue {
        version: next.origin().version(),
        models: next.names().count(),
        difference: Difference::between(&house.router.catalog(), &after),
        applied: wanted.apply,
    };
    if wanted.apply {
        keep(&house.home, &next).map_err(failed)?;
        house.refresh_tables().map_err(failed)?;
        tracing::info!(version = refreshed.version, "the list of prices was replaced");
    }
    Ok(refreshed)
}

/// Writes the list whole or not at all. The program's own needs no file.
fn keep(home: &Home, list: &Snapshot) -> Result<()> {
    let file = home.prices_file();
    if list.is_shipped() {
        return match std::fs::remove_file(&file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("{} cannot be removed", file.display()))
            }
            Ok(()) | Err(_) => Ok(()),
        };
    }
    whole_file::write(&file, list.text().as_bytes()).with_context(|| format!("{} cannot be written", file.display()))
}
