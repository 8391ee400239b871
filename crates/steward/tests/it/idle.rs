//! A server with nothing to do asks no model.

use std::time::Duration;

use steward_testkit::script::{Reply, Script};

use crate::house::House;

#[tokio::test]
async fn a_server_with_nothing_to_do_makes_no_model_call() {
    let mut house = House::start(Script::by_step([Reply::text("hello")])).await;
    house.say("s", "hello").await;
    house.terminate().await;
    house.serve().await;
    // Nothing can be waited for where nothing happens; a month of it passes on a fake clock in the runtime's own tests.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(house.model.count(), 1);
}
