//! The tree of commands.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// AI employees that keep their promises: limits on access and money that the model cannot talk its way out of.
#[derive(Parser, Debug)]
#[command(
    name = "steward",
    version,
    about,
    after_help = "Examples:\n  steward serve\n  steward chat -m \"List the files here and write their names to inventory.md\""
)]
pub(crate) struct Cli {
    /// The home folder [default: ~/.steward]
    #[arg(long, global = true, env = "STEWARD_HOME", value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// Print one JSON document instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run the server: console, API and agents
    Serve(Serve),
    /// Talk to an agent
    Chat(Chat),
    /// Agents
    #[command(subcommand)]
    Agents(List),
    /// Sessions
    #[command(subcommand)]
    Sessions(Sessions),
    /// Turns: inspect, stop, undo
    #[command(subcommand)]
    Turns(Turns),
    /// Questions that wait for a person
    #[command(subcommand)]
    Approvals(Approvals),
    /// Models and their prices; local models
    #[command(subcommand)]
    Models(Models),
    /// Providers of models
    #[command(subcommand)]
    Providers(Providers),
    /// Routes and why calls went where they went
    #[command(subcommand)]
    Routes(Routes),
    /// Drills: make providers fail on purpose and see what callers see
    #[command(subcommand)]
    Chaos(Chaos),
    /// How routes perform: times, goodput, attainment
    Top(Top),
    /// What was spent
    #[command(subcommand)]
    Spend(Spend),
    /// The configuration file
    #[command(subcommand)]
    Config(Config),
    /// Access keys
    #[command(subcommand)]
    Keys(Keys),
    /// Check the installation
    Doctor(Doctor),
    /// Set up provider and key
    Onboard(Onboard),
    /// Backups of the store and the workspaces
    #[command(subcommand)]
    Backup(Backup),
    /// Print a one-time link to the console
    Open,
    /// Print a part of docs/reference
    #[command(hide = true)]
    Reference {
        /// Which part
        part: Part,
    },
}

/// A part of the reference.
#[derive(ValueEnum, Clone, Copy, Debug)]
pub(crate) enum Part {
    /// Every verb and its options.
    CommandLine,
    /// Every key of the configuration file.
    Configuration,
    /// Every call of the HTTP interface.
    Http,
    /// The same as an OpenAPI document.
    Openapi,
}

#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// Address to listen on [default: 127.0.0.1:7717]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) bind: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Chat {
    /// The message; without it the chat is interactive
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) message: Option<String>,
    /// The agent
    #[arg(long, default_value = "main")]
    pub(crate) agent: String,
    /// The session's name
    #[arg(long)]
    pub(crate) session: Option<String>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum List {
    /// List them
    List,
    /// Show one
    Show {
        /// Its name
        name: String,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum Sessions {
    /// List them, the latest first
    List,
    /// Show the messages of one
    Show {
        /// Its name or id
        session: String,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum Turns {
    /// List them, newest first
    List {
        /// Only of this agent
        #[arg(long)]
        agent: Option<String>,
        /// Only in this state: running, waiting, done, refused, stopped, failed
        #[arg(long)]
        status: Option<String>,
        /// Only of this session
        #[arg(long)]
        session: Option<String>,
        /// At most this many
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Show one: steps, calls, receipts, cost
    Show {
        /// Its id
        id: String,
        /// Show what each step had in context, with tokens
        #[arg(long)]
        context: bool,
    },
    /// Stop one
    Stop {
        /// Its id
        id: String,
    },
    /// Put its files back as they were
    Undo {
        /// Its id
        id: String,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum Approvals {
    /// List what waits
    List {
        /// Answered ones too
        #[arg(long)]
        all: bool,
    },
    /// Answer yes
    Approve {
        /// Its id
        id: String,
        /// How long it holds: once, session, always
        #[arg(long, default_value = "once")]
        scope: String,
        /// A word with it; the answer itself for a question
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Answer no
    Deny {
        /// Its id
        id: String,
        /// Why; the agent reads it
        #[arg(long, default_value = "")]
        note: String,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum Models {
    /// List them with prices
    List,
    /// Fetch a local model, such as smollm2-135m
    Pull {
        /// Its name
        name: String,
    },
    /// Remove a local model
    Remove {
        /// Its name
        name: String,
    },
    /// Show where prices are from, with date and checksum
    Catalogue,
    /// Compare another list of prices with the one in force, and take it
    Refresh {
        /// A file or an https address with LiteLLM's catalogue, or `shipped` for the list of this program
        #[arg(long, value_name = "FILE|URL|shipped")]
        from: String,
        /// Let it take effect
        #[arg(long)]
        apply: bool,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum Chaos {
    /// Make a route's providers fail for a bounded time; ends with this command
    Run(ChaosRun),
    /// What callers saw of the last drill
    Report,
}

#[derive(Args, Debug)]
pub(crate) struct ChaosRun {
    /// The route
    #[arg(long)]
    pub(crate) route: String,
    /// Share of upstream requests that are answered with status 500, from 0 to 1
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    pub(crate) errors: f64,
    /// Each upstream request is sent this much later
    #[arg(long, default_value = "0ms", value_name = "TIME")]
    pub(crate) latency: String,
    /// Share whose answer breaks off
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    pub(crate) cut: f64,
    /// Share whose answer is garbled
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    pub(crate) garble: f64,
    /// Share that is answered with status 429
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    pub(crate) rate_limit: f64,
    /// Share whose host's name is not found
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    pub(crate) dns: f64,
    /// How long, at most 1h
    #[arg(long = "for", default_value = "60s", value_name = "TIME")]
    pub(crate) duration: String,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Providers {
    /// List them
    List,
    /// Ask it for its models, with each key; nothing is spent
    Test {
        /// Its name
        name: String,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum Routes {
    /// List them with their targets
    List,
    /// Show how a route and its targets stand now
    Show {
        /// Its name
        name: String,
    },
    /// Show why a call went where it went
    Explain {
        /// The request's id
        request: String,
    },
    /// Compute the choice of a call again from what was known then; fails if it comes out otherwise
    Replay {
        /// The request's id
        request: String,
    },
    /// Show how the rollout of a route stands: share, gates, evidence, what happened
    Status {
        /// The route
        route: String,
    },
    /// Give the candidate of a route this share of the calls
    Shift {
        #[command(flatten)]
        given: Given,
        /// From 0 to 1
        #[arg(long)]
        share: f64,
    },
    /// Let the candidate take over at once
    Promote(Given),
    /// Keep the rollout where it is
    Hold(Given),
    /// Let a held rollout go on by itself
    Resume(Given),
    /// Take the candidate out at once
    Rollback(Given),
    /// Show how the cache of a route does: hits, false hits, size
    Cache {
        /// The route
        route: String,
    },
}

/// An order to the rollout of a route.
#[derive(Args, Debug)]
pub(crate) struct Given {
    /// The route
    pub(crate) route: String,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) why: String,
}

#[derive(Args, Debug)]
pub(crate) struct Top {
    /// One row a route, model, provider, agent or team
    #[arg(long, default_value = "route")]
    pub(crate) by: String,
    /// How far back, from 10s to 5m
    #[arg(long, default_value = "1m")]
    pub(crate) window: String,
    /// Draw again every two seconds until stopped
    #[arg(long)]
    pub(crate) watch: bool,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Spend {
    /// What was spent, by a dimension
    Report {
        /// team, user, agent, key, model, route, session or day
        #[arg(long, default_value = "model")]
        by: String,
        /// Since a day, a time, or a span such as 7d
        #[arg(long)]
        since: Option<String>,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum Config {
    /// Check the file, or another one
    Check {
        /// Another file
        file: Option<PathBuf>,
    },
    /// Print a value
    Get {
        /// Dotted path, such as agents.main.route; all without it
        key: Option<String>,
    },
    /// Set a value
    Set {
        /// Dotted path, such as agents.main.route
        key: String,
        /// The value, in TOML
        value: String,
    },
    /// Print the JSON Schema
    Schema,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Keys {
    /// Make one; it is shown this once
    Create {
        /// Its name
        name: String,
        /// The user it acts for
        #[arg(long)]
        user: Option<String>,
        /// The team it is charged to
        #[arg(long)]
        team: Option<String>,
        /// The only agent it may talk to
        #[arg(long)]
        agent: Option<String>,
        /// owner, admin, operator, member, viewer or auditor
        #[arg(long)]
        role: Option<String>,
        /// Its life, from 1s to 365d
        #[arg(long)]
        expires: Option<String>,
    },
    /// List them
    List,
    /// End one at once
    Revoke {
        /// Its id or name
        id: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// Mend what can be mended safely
    #[arg(long)]
    pub(crate) fix: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Onboard {
    /// Ask nothing; take all from options
    #[arg(long)]
    pub(crate) non_interactive: bool,
    /// The provider, such as anthropic; `local` needs no key
    #[arg(long, default_value = "local")]
    pub(crate) provider: String,
    /// The model at that provider
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// Its base URL, for a provider that is not known
    #[arg(long)]
    pub(crate) base_url: Option<String>,
    /// Its dialect, for a provider that is not known
    #[arg(long)]
    pub(crate) dialect: Option<String>,
    /// Name of the environment variable that holds the key
    #[arg(long)]
    pub(crate) key_env: Option<String>,
    /// Read the key from standard input
    #[arg(long)]
    pub(crate) key_stdin: bool,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Backup {
    /// Make one
    Create,
    /// Check one
    Verify {
        /// The backup's folder
        path: PathBuf,
    },
    /// Put one into a home that has no store
    Restore {
        /// The backup's folder
        path: PathBuf,
    },
}
