use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use steward_domain::clock::Timestamp;
use steward_domain::message::{Message, Part, Role};
use steward_domain::model::{Finish, FinishReason, ModelEvent, ModelRequest, ToolDefinition};
use steward_domain::money::Usd;
use steward_domain::usage::{Usage, UsageSource};

use super::embed::{BundledEmbedder, Embedder};
use super::guard::Guard;
use super::pairs::{DIFFERENT, SAME};
use super::{Found, Kept, Missed, RouteCache};
use crate::config::cache::CacheConfig;

/// Counts letters: near texts have near vectors, and it takes no time.
struct Letters;

impl Embedder for Letters {
    fn name(&self) -> &'static str {
        "letters"
    }

    fn reads_chars(&self) -> usize {
        200
    }

    fn embed(&self, text: &str) -> Result<Vec<f32>, String> {
        let mut counts: BTreeMap<char, f32> = ('a'..='z').map(|letter| (letter, 0.0)).collect();
        for letter in text.to_lowercase().chars() {
            counts.entry(letter).and_modify(|count| *count += 1.0);
        }
        let length = counts.values().map(|count| count * count).sum::<f32>().sqrt().max(1.0);
        Ok(counts.values().map(|count| count / length).collect())
    }
}

fn cache(change: impl FnOnce(&mut CacheConfig)) -> RouteCache {
    let mut config = CacheConfig {
        exact: true,
        verify: 0.0,
        ..CacheConfig::default()
    };
    change(&mut config);
    RouteCache::new(config, Arc::new(Letters))
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn question(text: &str) -> ModelRequest {
    ModelRequest::new(
        "default",
        vec![Message::text(Role::System, "be brief"), Message::text(Role::User, text)],
    )
}

fn answer(text: &str) -> Kept {
    ended(text, FinishReason::Stop)
}

fn ended(text: &str, reason: FinishReason) -> Kept {
    let finish = Finish {
        reason,
        usage: Usage::default(),
        usage_source: UsageSource::Reported,
        cost: Usd::ZERO,
    };
    Kept::new("one/m".into(), vec![ModelEvent::Text(text.into())], finish)
}

async fn find(cache: &RouteCache, request: &ModelRequest, tenant: &str, second: i64) -> Result<String, Box<Missed>> {
    let asked = cache.ask(request, &["default".to_owned(), tenant.to_owned()]);
    match cache.find(asked, at(second)).await {
        Found::Hit(kept) => Ok(kept.text()),
        Found::Miss(missed) => Err(missed),
    }
}

/// Asks, and keeps an answer to what was asked.
async fn fill(cache: &RouteCache, request: &ModelRequest, kept: Kept) {
    let missed = find(cache, request, "ana", 0).await.expect_err("nothing is kept yet");
    cache.keep(*missed, kept, at(0)).await;
}

async fn is_hit(cache: &RouteCache, request: &ModelRequest) -> bool {
    find(cache, request, "ana", 1).await.is_ok()
}

#[tokio::test]
async fn the_same_request_of_the_same_tenant_has_the_answer_until_its_time_is_over() {
    let cache = cache(|_| {});
    let request = question("why is the sky blue");
    fill(&cache, &request, answer("scattering")).await;
    assert_eq!(find(&cache, &request, "ana", 3_599).await.ok().as_deref(), Some("scattering"));
    assert!(find(&cache, &request, "bob", 1).await.is_err(), "tenants share nothing");
    assert!(find(&cache, &request, "ana", 3_600).await.is_err());
}

#[tokio::test]
async fn whatever_can_change_the_answer_changes_the_key() {
    let cache = cache(|_| {});
    let request = question("why is the sky blue");
    fill(&cache, &request, answer("scattering")).await;
    let changes: [fn(&mut ModelRequest); 6] = [
        |request| request.temperature = Some(0.5),
        |request| request.max_output_tokens = Some(10),
        |request| request.messages[0] = Message::text(Role::System, "be long"),
        |request| request.stop = vec!["x".into()],
        |request| drop(request.extra.insert("seed".into(), json!(7))),
        |request| {
            // The same letters, cut otherwise.
            request.messages[1] = Message {
                role: Role::User,
                parts: vec![Part::text("why is the sky "), Part::text("blue")],
            };
        },
    ];
    for change in changes {
        let mut other = request.clone();
        change(&mut other);
        assert!(!is_hit(&cache, &other).await, "{other:?}");
    }
}

#[tokio::test]
async fn what_cannot_change_the_answer_does_not_change_the_key() {
    let cache = cache(|_| {});
    let mut request = question("why is the sky blue");
    request.extra.insert("b".into(), json!({"x": 1, "y": 2}));
    request.extra.insert("a".into(), json!(1));
    fill(&cache, &request, answer("scattering")).await;
    let mut other = question("why is the sky blue");
    other.model = "another name of the route".into();
    other.extra.insert("a".into(), json!(1));
    other.extra.insert("b".into(), json!({"y": 2, "x": 1}));
    other.extra.insert("user".into(), json!("someone"));
    if let Part::Text { cache_control, .. } = &mut other.messages[0].parts[0] {
        *cache_control = Some(json!({"type": "ephemeral"}));
    }
    assert!(is_hit(&cache, &other).await);
}

#[tokio::test]
async fn answers_that_were_refused_filtered_or_cut_short_are_not_kept() {
    for reason in [
        FinishReason::Refusal,
        FinishReason::ContentFilter,
        FinishReason::Length,
        FinishReason::Pause,
    ] {
        let cache = cache(|_| {});
        let request = question("why");
        fill(&cache, &request, ended("no", reason)).await;
        assert!(!is_hit(&cache, &request).await, "{reason:?}");
    }
}

#[tokio::test]
async fn the_room_is_kept_to_and_the_least_used_answer_goes_first() {
    let cache = cache(|config| config.max_mib = 1);
    let large = "x".repeat(100_000);
    let requests: Vec<ModelRequest> = (0..20).map(|number| question(&format!("question {number}"))).collect();
    for request in &requests {
        fill(&cache, request, answer(&large)).await;
        assert!(is_hit(&cache, &requests[0]).await, "it is asked for all the time");
    }
    let report = cache.report();
    assert!(report.bytes <= report.max_bytes && report.entries == 10, "{report:?}");
    assert_eq!(report.evicted, 10);
    assert!(!is_hit(&cache, &requests[1]).await && is_hit(&cache, &requests[19]).await);
}

#[tokio::test]
async fn an_answer_past_its_time_is_given_only_where_the_route_allows_it() {
    let request = question("why");
    for (stale, is_given) in [(None, false), (Some(Duration::from_secs(3_600)), true)] {
        let cache = cache(|config| config.stale = stale);
        fill(&cache, &request, answer("so")).await;
        let missed = find(&cache, &request, "ana", 4_000).await.expect_err("its time is over");
        assert_eq!(cache.stale(&missed, at(4_000)).is_some(), is_given);
        assert!(cache.stale(&missed, at(7_200)).is_none());
    }
}

#[tokio::test]
async fn a_request_that_means_the_same_has_the_answer_but_not_another_number_side_or_negation() {
    let cache = cache(|config| config.semantic = true);
    fill(&cache, &question("how do I reset my password?"), answer("by mail")).await;
    assert!(is_hit(&cache, &question("how do i reset my password")).await);
    for other in [
        "how do I reset my 2 password?",
        "how do I not reset my password?",
        "what is the weather like?",
    ] {
        assert!(!is_hit(&cache, &question(other)).await, "{other}");
    }
    let mut other = question("how do I reset my password");
    other.messages[0] = Message::text(Role::System, "answer in French");
    assert!(!is_hit(&cache, &other).await, "another system prompt asks for another answer");
    assert_eq!(cache.report().semantic_hits, 1);
}

#[tokio::test]
async fn tools_and_long_texts_have_no_semantic_hit_unless_allowed() {
    let with_tool = |text: &str| {
        let tool = ToolDefinition {
            name: "read".into(),
            description: String::new(),
            input_schema: json!({}),
            extra: serde_json::Map::new(),
        };
        ModelRequest {
            tools: vec![tool],
            ..question(text)
        }
    };
    for is_allowed in [false, true] {
        let cache = cache(|config| {
            config.semantic = true;
            config.tools = is_allowed;
        });
        fill(&cache, &with_tool("how do I reset my password"), answer("by mail")).await;
        assert_eq!(is_hit(&cache, &with_tool("how do I reset my password?")).await, is_allowed);
    }
    let cache = cache(|config| config.semantic = true);
    let long = "a long text ".repeat(40);
    fill(&cache, &question(&format!("{long} one end")), answer("so")).await;
    assert!(!is_hit(&cache, &question(&format!("{long} one end?"))).await, "its end is not read");
}

#[tokio::test]
async fn semantic_hits_are_asked_again_at_the_stated_share_and_false_ones_counted() {
    let cache = cache(|config| {
        config.semantic = true;
        config.verify = 0.5;
    });
    fill(&cache, &question("how do I reset my password"), answer("by mail")).await;
    let mut checked = 0;
    for number in 0..10 {
        // A new wording each time, all of the same letters.
        let words = ["how", "do", "I", "reset", "my", "password"];
        let rotated: Vec<&str> = (0..6).map(|place| words[(place + number) % 6]).collect();
        let request = question(&format!("{}{}", rotated.join(" "), "?".repeat(number)));
        if let Err(missed) = find(&cache, &request, "ana", 1).await {
            checked += 1;
            cache
                .keep(*missed, answer(if checked == 1 { "by mail" } else { "call 112" }), at(1))
                .await;
        }
    }
    let report = cache.report();
    assert!(checked >= 3, "{report:?}");
    assert_eq!((report.checked, report.false_hits), (checked, checked - 1));
}

/// How many of the pairs would be a hit at a threshold.
fn hits(pairs: &[(&str, &str)], threshold: f32) -> usize {
    let is_near = |(left, right): &&(&str, &str)| {
        let vector = |text| BundledEmbedder.embed(text).unwrap();
        Guard::of(left) == Guard::of(right) && super::embed::nearness(&vector(left), &vector(right)) >= threshold
    };
    pairs.iter().filter(is_near).count()
}

#[test]
fn the_bundled_encoder_with_the_guard_has_no_false_hit_on_our_pairs_and_most_true_ones() {
    let threshold = CacheConfig::default().threshold as f32;
    let (same, different) = (hits(&SAME, threshold), hits(&DIFFERENT, threshold));
    assert!(
        same >= 14 && different == 0,
        "{same} of {} true, {different} of {} false",
        SAME.len(),
        DIFFERENT.len()
    );
}
