use std::collections::HashMap;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use steward_domain::model::{Caller, Finish, FinishReason, Model, ModelErrorKind, ModelEvent, ModelRequest};
use steward_domain::money::Usd;
use steward_domain::usage::{Usage, UsageSource};

use super::bench::{Bench, tables};

/// Says its own name, as a model in this process would.
struct Echo;

impl Model for Echo {
    fn stream(&self, request: ModelRequest, _: Caller) -> BoxStream<'static, ModelEvent> {
        let finish = Finish {
            reason: FinishReason::Stop,
            usage: Usage {
                input: 3,
                output: 1,
                ..Usage::default()
            },
            usage_source: UsageSource::Reported,
            cost: Usd::ZERO,
        };
        stream::iter([ModelEvent::Text(request.model), ModelEvent::Finished(Box::new(finish))]).boxed()
    }
}

#[tokio::test]
async fn a_model_of_this_process_is_a_target_like_any_other() {
    let bench = Bench::new("");
    assert_eq!(bench.ask("local/tiny").await.error().kind, ModelErrorKind::NotFound);
    let models = HashMap::from([("local/tiny".to_owned(), Arc::new(Echo) as Arc<dyn Model>)]);
    let config = "[routes.default]\ntargets = [{ model = \"local/tiny\" }]\n[providers.mine]\ndialect = \"local\"\n";
    bench.router.replace(tables(config, models)).unwrap();
    for name in ["default", "local/tiny", "mine/tiny"] {
        let outcome = bench.ask(name).await;
        assert_eq!(outcome.text(), "tiny");
        assert_eq!(outcome.finish().usage_source, UsageSource::Reported);
    }
    assert_eq!(bench.ledger.booked().len(), 3);
    bench.ledger.assert_balanced();
}
