use std::sync::{Arc, Mutex};
use std::time::Duration;

use steward_domain::clock::Clock;

use super::FakeClock;

const SECOND: Duration = Duration::from_secs(1);

fn sleeper(clock: &FakeClock, name: &'static str, duration: Duration, woken: &Arc<Mutex<Vec<&'static str>>>) {
    let (sleep, woken) = (clock.sleep(duration), Arc::clone(woken));
    tokio::spawn(async move {
        sleep.await;
        woken.lock().unwrap().push(name);
    });
}

#[tokio::test]
async fn sleepers_wake_in_order_of_their_instants() {
    let clock = FakeClock::default();
    let woken = Arc::default();
    sleeper(&clock, "late", 3 * SECOND, &woken);
    sleeper(&clock, "early", SECOND, &woken);
    sleeper(&clock, "never", 60 * SECOND, &woken);
    clock.advance(3 * SECOND).await;
    assert_eq!(*woken.lock().unwrap(), ["early", "late"]);
    assert_eq!(clock.sleepers(), 1);
}

#[tokio::test]
async fn a_task_that_sleeps_again_is_seen_at_every_instant() {
    let clock = FakeClock::default();
    let start = clock.now();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (in_task, log) = (clock.clone(), Arc::clone(&seen));
    tokio::spawn(async move {
        loop {
            in_task.sleep(10 * SECOND).await;
            log.lock().unwrap().push(in_task.now().as_second() - start.as_second());
        }
    });
    clock.advance(35 * SECOND).await;
    assert_eq!(*seen.lock().unwrap(), [10, 20, 30]);
    assert_eq!(clock.now().as_second() - start.as_second(), 35);
}

#[tokio::test]
async fn a_sleeper_that_was_dropped_does_not_count() {
    let clock = FakeClock::default();
    drop(clock.sleep(SECOND));
    assert_eq!(clock.sleepers(), 0);
    clock.jump(SECOND);
}
