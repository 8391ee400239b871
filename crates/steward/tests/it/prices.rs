//! Where prices are from, and how another list takes their place.

use std::fs;

use serde_json::json;
use steward_testkit::script::{Reply, Script};

use crate::house::{House, MODEL};

/// LiteLLM's form: one model dearer than in the program's list, one that is new.
fn dearer() -> String {
    let model = |provider: &str, input: f64| json!({ "litellm_provider": provider, "mode": "chat", "input_cost_per_token": input, "output_cost_per_token": 2e-05 });
    json!({ "gpt-5": model("openai", 2.5e-06), "xai/grok-of-tomorrow": model("xai", 1e-06) }).to_string()
}

#[tokio::test]
async fn another_list_of_prices_is_shown_first_and_taken_only_when_told() {
    let mut house = House::start(Script::by_step([Reply::text("hello")])).await;
    let lists = house.steward(&["models", "catalogue", "--json"]).await.json();
    assert_eq!(lists.as_array().unwrap().len(), 2, "{lists}");
    for list in lists.as_array().unwrap() {
        assert_eq!(
            (list["from"].as_str(), list["licence"].as_str()),
            (Some("program"), Some("MIT")),
            "{list}"
        );
        assert_eq!(list["sha256"].as_str().unwrap().len(), 64);
    }
    let file = house.home().join("catalogue.json");
    fs::write(&file, dearer()).unwrap();
    let from = file.to_str().unwrap().to_owned();

    let shown = house.steward(&["models", "refresh", "--from", &from, "--json"]).await.json();
    assert_eq!(shown["applied"], json!(false));
    assert_eq!(shown["difference"]["added"], json!(["xai/grok-of-tomorrow"]));
    let changes = shown["difference"]["prices"].as_array().unwrap();
    let input = changes
        .iter()
        .find(|change| change["model"] == "openai/gpt-5" && change["price"] == "input_usd_per_mtok")
        .unwrap_or_else(|| panic!("{shown}"));
    assert_eq!(
        (&input["before_usd"], &input["after_usd"], &input["percent"]),
        (&json!("1.25"), &json!("2.5"), &json!(100.0))
    );
    assert!(!house.home().join("prices.tsv").exists(), "nothing has changed yet");

    let plain = house.steward(&["models", "refresh", "--from", &from, "--apply"]).await;
    assert!(plain.code == 0 && plain.stdout.contains("in force now: litellm@"), "{plain:?}");
    house.terminate().await;
    house.serve().await;
    let lists = house.steward(&["models", "catalogue", "--json"]).await.json();
    assert_eq!((&lists[0]["from"], &lists[0]["models"]), (&json!("operator"), &json!(2)), "{lists}");
    let price = |models: &serde_json::Value, name: &str| {
        let model = models.as_array().unwrap().iter().find(|model| model["model"] == name).cloned();
        model.map(|model| model["input_usd_per_mtok"].clone())
    };
    let models = house.steward(&["models", "list", "--json"]).await.json();
    assert_eq!(price(&models, "openai/gpt-5"), Some(json!("2.5")));
    assert_eq!(price(&models, MODEL), Some(json!("1")), "the operator's own price goes first");

    house
        .steward(&["models", "refresh", "--from", "shipped", "--apply", "--json"])
        .await
        .json();
    let models = house.steward(&["models", "list", "--json"]).await.json();
    assert_eq!(price(&models, "openai/gpt-5"), Some(json!("1.25")));

    fs::write(&file, "{\"nonsense\": true}").unwrap();
    let refused = house.steward(&["models", "refresh", "--from", &from, "--apply"]).await;
    assert!(refused.code != 0 && !house.home().join("prices.tsv").exists(), "{refused:?}");
    let unsafe_address = house
        .steward(&["models", "refresh", "--from", "http://prices.example/x.json"])
        .await;
    assert!(
        unsafe_address.code != 0 && unsafe_address.stderr.contains("https"),
        "{unsafe_address:?}"
    );
}
