//! Writes `catalog/snapshot.tsv` anew from LiteLLM's catalogue.
//!
//! `cargo run -p steward-inference --example catalogue -- FILE SOURCE DATE > crates/steward-inference/catalog/snapshot.tsv`,
//! where FILE is `model_prices_and_context_window_backup.json` out of the package `litellm`, SOURCE is `litellm-VERSION`.

#![allow(clippy::print_stdout)]

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, source, date] = &arguments[..] else {
        return Err("usage: catalogue FILE SOURCE DATE".into());
    };
    let json = std::fs::read_to_string(file)?;
    let snapshot = steward_inference::catalog::import::from_litellm(&json, source, date)?;
    print!("{}", snapshot.text());
    Ok(())
}
