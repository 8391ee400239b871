//! Serves a script to other processes: `steward-scripted-model --port 0 --script FILE.json --record FILE`.
//!
//! Prints one line `scripted model ready on http://127.0.0.1:PORT` once it accepts connections. Listens on loopback only.

#![allow(clippy::print_stdout, reason = "the ready line is what the caller waits for")]

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};

use steward_testkit::record::Keep;
use steward_testkit::script::Script;
use steward_testkit::scripted_model::{Options, ScriptedModelServer};

const USAGE: &str = "usage: steward-scripted-model [--port N] [--script FILE.json | --file-task] [--record FILE]";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (script, options) = read_arguments(env::args().skip(1))?;
    let server = ScriptedModelServer::start_with(script, options).await?;
    println!("scripted model ready on {}", server.base_url);
    server.run().await;
    Ok(())
}

fn read_arguments(mut arguments: impl Iterator<Item = String>) -> Result<(Script, Options), Box<dyn Error>> {
    let mut script = Script::default();
    let mut options = Options {
        keep: Keep::Outlines,
        ..Options::default()
    };
    while let Some(flag) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{flag} wants a value\n{USAGE}"));
        match flag.as_str() {
            "--port" => options.port = value()?.parse()?,
            "--record" => options.record = Some(PathBuf::from(value()?)),
            "--script" => script = Script::from_file(Path::new(&value()?))?,
            "--file-task" => script = Script::file_task(),
            _ => return Err(format!("unknown flag {flag}\n{USAGE}").into()),
        }
    }
    Ok((script, options))
}
