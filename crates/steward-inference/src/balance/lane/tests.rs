use std::time::Duration;

use futures_util::FutureExt;
use steward_testkit::fake_clock::FakeClock;

use super::*;

const WAIT: Duration = Duration::from_secs(5);

fn one_at_a_time() -> (Arc<Lane>, CongestionConfig) {
    let config = CongestionConfig {
        start: 1,
        queue: 3,
        ..CongestionConfig::default()
    };
    (Arc::new(Lane::new(&config)), config)
}

fn user(name: &str) -> Principal {
    Principal::User(name.into())
}

#[tokio::test]
async fn a_place_goes_to_whoever_waits_and_not_to_newcomers() {
    let (lane, config) = one_at_a_time();
    let clock = FakeClock::default();
    let first = lane.enter().unwrap();
    let ana = user("ana");
    let mut waiting = Box::pin(lane.wait(&ana, &config, WAIT, &clock));
    assert!((&mut waiting).now_or_never().is_none());
    drop(first);
    assert!(lane.enter().is_none(), "it passed the queue");
    let slot = waiting.await.unwrap();
    assert_eq!((lane.in_flight(), lane.waiting()), (1, 0));
    drop(slot);
    assert!(lane.enter().is_some());
}

#[tokio::test]
async fn who_gives_up_leaves_at_once_and_blocks_nobody() {
    let (lane, config) = one_at_a_time();
    let clock = FakeClock::default();
    let first = lane.enter().unwrap();
    let (ana, ben) = (user("ana"), user("ben"));
    let mut given_up = Box::pin(lane.wait(&ana, &config, WAIT, &clock));
    let mut waiting = Box::pin(lane.wait(&ben, &config, WAIT, &clock));
    assert!((&mut given_up).now_or_never().is_none() && (&mut waiting).now_or_never().is_none());
    drop(given_up);
    assert_eq!(lane.waiting(), 1);
    drop(first);
    assert!(waiting.await.is_ok());
    assert_eq!((lane.in_flight(), lane.waiting()), (0, 0));
}

#[tokio::test]
async fn a_place_that_came_as_its_owner_left_is_not_lost() {
    let (lane, config) = one_at_a_time();
    let clock = FakeClock::default();
    let first = lane.enter().unwrap();
    let ana = user("ana");
    let mut waiting = Box::pin(lane.wait(&ana, &config, WAIT, &clock));
    assert!((&mut waiting).now_or_never().is_none());
    drop(first);
    drop(waiting);
    assert_eq!(lane.in_flight(), 0);
    assert!(lane.enter().is_some());
}

#[tokio::test]
async fn nobody_waits_for_ever_and_the_queue_is_bounded() {
    let (lane, config) = one_at_a_time();
    let clock = FakeClock::default();
    let _first = lane.enter().unwrap();
    let ana = user("ana");
    let mut waits: Vec<_> = (0..3).map(|_| Box::pin(lane.wait(&ana, &config, WAIT, &clock))).collect();
    for wait in &mut waits {
        assert!(wait.now_or_never().is_none());
    }
    assert_eq!(lane.wait(&ana, &config, WAIT, &clock).await.unwrap_err(), NoSlot::QueueIsFull);
    clock.jump(WAIT);
    for wait in waits {
        assert_eq!(wait.await.unwrap_err(), NoSlot::TooLong);
    }
    assert_eq!(lane.waiting(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_many_threads_no_place_is_lost_and_none_is_taken_twice() {
    let config = CongestionConfig {
        start: 3,
        queue: 1_000,
        ..CongestionConfig::default()
    };
    let lane = Arc::new(Lane::new(&config));
    let clock = Arc::new(FakeClock::default());
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..400 {
        let (lane, clock) = (Arc::clone(&lane), Arc::clone(&clock));
        tasks.spawn(async move {
            let principal = user(&format!("user-{}", number % 7));
            let slot = match lane.enter() {
                Some(slot) => slot,
                None => lane.wait(&principal, &config, WAIT, &*clock).await.unwrap(),
            };
            assert!(lane.in_flight() <= 3);
            tokio::task::yield_now().await;
            drop(slot);
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!((lane.in_flight(), lane.waiting()), (0, 0));
}
