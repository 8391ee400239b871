//! Runs the server: as the process people start, or inside a command that found none.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use steward_domain::secret::Secret;
use steward_gateway::server::{self, Parts};
use steward_runtime::access::Identity;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::configuration::Configuration;
use crate::failure::{Exit, Failure};
use crate::home::{Home, Running};
use crate::operations::HouseOperations;
use crate::output;
use crate::telemetry;
use crate::wiring::House;

/// How often the configuration file is looked at.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// How long open work may take to reach a durable point when the server stops.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// A server inside this process.
pub(crate) struct Embedded {
    pub(crate) url: String,
    pub(crate) token: String,
    shutdown: CancellationToken,
    house: Arc<House>,
    server: JoinHandle<std::io::Result<()>>,
}

impl Embedded {
    /// Stops it and waits until everything is durable.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        let wind_down = async {
            self.house.runtime.shutdown().await;
            self.house.router.drain().await;
            // The barrier makes what was written without waiting durable.
            if let Err(cause) = self.house.store.write(|_| Ok(())).await {
                error!(error = %cause, "the last rows could not be written");
            }
        };
        if tokio::time::timeout(STOP_WITHIN, wind_down).await.is_err() {
            warn!("open work did not end in time; it goes on at the next start");
        }
        self.server.abort();
    }
}

/// `steward serve`.
pub(crate) async fn run(home: &Home, bind: Option<String>) -> Result<()> {
    home.create()?;
    // Taken before the file is read and before anyone is told, so that no edit and no signal is missed.
    let seen = stamp(home);
    let mut signals = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let configuration = Configuration::load(home)?;
    let bind = bind.unwrap_or_else(|| configuration.server.bind.clone());
    let server = start(home, configuration, &bind).await?;
    let pid = std::process::id();
    home.announce(&Running {
        url: server.url.clone(),
        token: server.token.clone(),
        pid,
    })?;
    output::line(&format!("steward ready on {}", server.url));
    if !server.house.runtime.has_administrator().await? {
        let token = server.house.runtime.create_signin_token(&Identity::owner()).await?;
        output::line(&format!(
            "sign in once with {}/#signin={} (within 10 minutes)",
            server.url,
            token.expose()
        ));
    }
    let watcher = tokio::spawn(watch_configuration(home.clone(), Arc::clone(&server.house), seen));
    let router = Arc::clone(&server.house.router);
    let prober = tokio::spawn(async move { router.watch().await });
    let teller = tokio::spawn(telemetry::run(Arc::clone(&server.house)));
    tokio::select! {
        _ = signals.0.recv() => {}
        _ = signals.1.recv() => {}
    }
    info!("stopping; open turns go on at the next start");
    watcher.abort();
    prober.abort();
    teller.abort();
    server.stop().await;
    home.withdraw(pid);
    Ok(())
}

/// A server on a free port of the loopback, for the time of one command.
pub(crate) async fn start_embedded(home: &Home) -> Result<Embedded> {
    home.create()?;
    let configuration = Configuration::load(home)?;
    start(home, configuration, "127.0.0.1:0").await
}

async fn start(home: &Home, configuration: Configuration, bind: &str) -> Result<Embedded> {
    // The provider is chosen once a process; a second choice is refused and does not matter.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let address: SocketAddr = bind.parse().map_err(|_| {
        Failure::new(
            Exit::Usage,
            "usage",
            format!("{bind:?} is no address: write one such as 127.0.0.1:7717"),
        )
    })?;
    let host_names = configuration.server.host_names.clone();
    let house = Arc::new(House::build(home, configuration).await?);
    if !address.ip().is_loopback() && !house.runtime.has_administrator().await? {
        let message = format!("{address} can be reached by others, and nobody could sign in yet");
        return Err(Failure::new(Exit::Refused, "no_authentication", message)
            .with_hint("first run `steward keys create NAME --role admin`, or set a password at the console")
            .into());
    }
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; is another server running? --bind takes another address"))?;
    house.runtime.start().await?;
    let url = format!("http://{}", listener.local_addr()?);
    let token = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
    let shutdown = CancellationToken::new();
    let parts = Parts {
        runtime: Arc::clone(&house.runtime),
        model: Arc::clone(&house.router) as Arc<dyn steward_domain::model::Model>,
        operations: Arc::new(HouseOperations::new(Arc::clone(&house))),
        local_token: Secret::new(token.clone()),
        host_names,
    };
    let server = tokio::spawn(server::serve(parts, listener, shutdown.clone()));
    Ok(Embedded {
        url,
        token,
        shutdown,
        house,
        server,
    })
}

/// Takes the file's changes: whole when it is right, not at all when it is wrong.
async fn watch_configuration(home: Home, house: Arc<House>, mut seen: Option<(SystemTime, u64)>) {
    loop {
        tokio::time::sleep(WATCH_EVERY).await;
        let now = stamp(&home);
        if now == seen {
            continue;
        }
        seen = now;
        let outcome = match Configuration::load(&home) {
            Ok(configuration) => house.replace(configuration).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => info!("took the changed configuration"),
            Err(cause) => error!(error = %cause, "the changed configuration is refused, the last good one stays: {cause:#}"),
        }
    }
}

fn stamp(home: &Home) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(home.config_file()).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
