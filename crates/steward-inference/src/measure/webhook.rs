//! Tells webhooks of alerts: each beginning and each end with one POST, tried again until it is taken.
//!
//! The header `idempotency-key` is the same for every try, so that a receiver can tell a repetition. A webhook that takes nothing for an hour
//! misses what it was told then. What waits does not outlive the process.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::future::join_all;
use steward_domain::clock::Timestamp;

use super::alert::{Alert, AlertState};
use crate::wait::after;

/// A webhook that takes longer has not taken it.
const LIMIT: Duration = Duration::from_secs(10);

/// Alerts that wait for one webhook; the oldest goes first.
const WAITING: usize = 200;

/// The waits between tries begin with the first and end with the second of these.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// After so many tries, about an hour, an alert is given up.
const TRIES: u32 = 20;

/// Is the text an address that can be called?
///
/// # Errors
/// A sentence, when it is none.
pub fn check_address(url: &str) -> Result<(), String> {
    let is_address = reqwest::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if is_address {
        Ok(())
    } else {
        Err("it must begin with http:// or https:// and name a host".to_owned())
    }
}

/// The webhooks with what waits for each.
#[derive(Debug)]
pub struct Webhooks {
    http: reqwest::Client,
    hooks: Vec<Hook>,
}

#[derive(Debug)]
struct Hook {
    url: String,
    waiting: VecDeque<Letter>,
    tries: u32,
    due_at: Timestamp,
}

#[derive(Debug)]
struct Letter {
    key: String,
    alert: Alert,
}

impl Webhooks {
    /// None yet.
    ///
    /// # Errors
    /// There can be no HTTP client; a sentence.
    pub fn new() -> Result<Self, String> {
        let http = reqwest::Client::builder()
            .timeout(LIMIT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build();
        Ok(Webhooks {
            http: http.map_err(|error| format!("there can be no HTTP client: {error}"))?,
            hooks: Vec::new(),
        })
    }

    /// These are told from now on. What waits for one that stays goes on waiting.
    pub fn set(&mut self, urls: &[String]) {
        self.hooks.retain(|hook| urls.contains(&hook.url));
        for url in urls {
            if self.hooks.iter().all(|hook| hook.url != *url) {
                self.hooks.push(Hook {
                    url: url.clone(),
                    waiting: VecDeque::new(),
                    tries: 0,
                    due_at: Timestamp::MIN,
                });
            }
        }
    }

    /// Something to tell all of them.
    pub fn add(&mut self, alert: &Alert) {
        for hook in &mut self.hooks {
            if hook.waiting.len() >= WAITING {
                hook.waiting.pop_front();
                hook.tries = 0;
            }
            hook.waiting.push_back(Letter {
                key: key_of(alert),
                alert: alert.clone(),
            });
        }
    }

    /// Tells each what is due now, in order.
    pub async fn work(&mut self, now: Timestamp) {
        let http = &self.http;
        join_all(self.hooks.iter_mut().map(|hook| hook.work(http, now))).await;
    }

    /// How many alerts wait, over all webhooks.
    pub fn waiting(&self) -> usize {
        self.hooks.iter().map(|hook| hook.waiting.len()).sum()
    }
}

impl Hook {
    async fn work(&mut self, http: &reqwest::Client, now: Timestamp) {
        while self.due_at <= now
            && let Some(letter) = self.waiting.front()
        {
            let problem = tell(http, &self.url, letter).await.err();
            let Some(problem) = problem else {
                self.waiting.pop_front();
                self.tries = 0;
                continue;
            };
            self.tries += 1;
            let wait = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(self.tries - 1)).min(LONGEST_WAIT);
            self.due_at = after(now, wait);
            if self.tries >= TRIES {
                tracing::error!("a webhook was not told of an alert, although it was tried {TRIES} times: {problem}");
                self.waiting.pop_front();
                self.tries = 0;
            }
        }
    }
}

async fn tell(http: &reqwest::Client, url: &str, letter: &Letter) -> Result<(), String> {
    let request = http.post(url).header("idempotency-key", &letter.key).json(&letter.alert);
    let response = request.send().await.map_err(|error| error.without_url().to_string())?;
    let status = response.status();
    if status.is_success() {
        Ok(())
    } else {
        Err(format!("it answers with status {status}"))
    }
}

fn key_of(alert: &Alert) -> String {
    let state = match alert.state {
        AlertState::Firing => "firing",
        AlertState::Resolved => "resolved",
    };
    let is_plain = |letter: char| letter.is_ascii_graphic();
    let id: String = alert.id.chars().map(|letter| if is_plain(letter) { letter } else { '-' }).collect();
    format!("{id}:{state}")
}
