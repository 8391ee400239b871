//! A drill on the real program: what callers see, how it ends, and who may begin one.

use reqwest::Method;
use serde_json::{Value, json};
use steward_testkit::script::{Reply, Script};

use crate::house::{House, answer, until};

#[tokio::test]
async fn a_drill_makes_calls_fail_reports_it_and_ends_by_itself() {
    let house = House::start(Script::by_step([Reply::text("hello")])).await;
    let ask = || async {
        let request = house.request_as(&house.token(), Method::POST, "/v1/chat/completions");
        let body = json!({ "model": "default", "messages": [{ "role": "user", "content": "hi" }] });
        answer(request.json(&body)).await.0
    };
    let running = house.steward(&["chaos", "run", "--route", "default", "--errors", "1", "--for", "3s", "--json"]);
    let calls = async {
        until("a drill has begun", || async {
            answer(house.request_as(&house.token(), Method::GET, "/api/chaos"))
                .await
                .0
                .is_success()
        })
        .await;
        let mut failed = 0_u64;
        for _ in 0..3 {
            failed += u64::from(!ask().await.is_success());
        }
        failed
    };
    let (ran, failed) = tokio::join!(running, calls);
    let report = ran.json();
    assert_eq!(failed, 3);
    let errors: u64 = report["errors"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert_eq!((report["requests"].as_u64(), errors), (Some(3), 3), "{report}");
    assert!(report["injected"]["errors"].as_u64() >= Some(1), "{report}");
    assert!(["time", "stopped"].contains(&report["state"].as_str().unwrap()), "{report}");
    let told = house.steward(&["chaos", "report", "--json"]).await.json();
    assert_eq!(told["id"], report["id"]);
    let plain = house.steward(&["chaos", "report"]).await;
    assert!(plain.stdout.contains("calls: 3, answered whole: 0"), "{plain:?}");
}

#[tokio::test]
async fn a_drill_is_for_administrators_and_for_plans_that_can_be_meant() {
    let house = House::start(Script::by_step([Reply::text("hello")])).await;
    let refused = house.steward(&["chaos", "run", "--route", "nosuch", "--errors", "0.5"]).await;
    assert!(refused.code != 0 && refused.stderr.contains("nosuch"), "{refused:?}");
    let refused = house
        .steward(&["chaos", "run", "--route", "default", "--errors", "0.9", "--cut", "0.9"])
        .await;
    assert!(refused.code != 0 && refused.stderr.contains("together"), "{refused:?}");
    let key = house.steward(&["keys", "create", "calls-only", "--json"]).await.json();
    let plan = json!({ "route": "default", "errors": 1.0, "for_ms": 1000 });
    let request = house.request_as(key["key"].as_str().unwrap_or_default(), Method::POST, "/api/chaos");
    let (status, _) = answer(request.json(&plan)).await;
    assert!(status == 401 || status == 403, "{status}");
}
