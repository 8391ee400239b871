use super::{TurnQueues, Wake};

#[test]
fn a_session_has_one_owner_and_no_news_is_lost() {
    let queues = TurnQueues::default();
    let session = "ses_1".into();
    assert_eq!(queues.wake(&session), Wake::Start);
    assert_eq!(queues.wake(&session), Wake::Noted);
    assert!(!queues.try_release(&session), "news came, so the owner looks again");
    assert!(queues.try_release(&session));
    assert_eq!(queues.wake(&session), Wake::Start);
}

#[test]
fn stop_reaches_only_the_turn_that_runs() {
    let queues = TurnQueues::default();
    let session = "ses_1".into();
    queues.wake(&session);
    let stop = queues.begin(&session, &"turn_1".into());
    assert!(!queues.stop(&session, &"turn_2".into()));
    assert!(queues.stop(&session, &"turn_1".into()));
    assert!(stop.is_cancelled());
    queues.end(&session);
    assert!(!queues.stop(&session, &"turn_1".into()));
}
