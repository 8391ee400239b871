use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

#[test]
fn retries_stay_within_a_fifth_of_the_requests() {
    let budget = ExtraBudget::default();
    let taken = |count: usize| (0..count).filter(|_| budget.take_retry(at(0))).count();
    assert_eq!(taken(50), 10);
    for _ in 0..100 {
        budget.count_request(at(1));
    }
    assert_eq!(taken(50), 10);
    assert!(budget.take_retry(at(61)));
}

#[test]
fn hedges_stay_within_their_share_and_count_as_extra_requests() {
    let budget = ExtraBudget::default();
    assert!(!budget.take_hedge(0.05, at(0)), "nothing was asked yet");
    for _ in 0..100 {
        budget.count_request(at(0));
    }
    assert_eq!((0..50).filter(|_| budget.take_hedge(0.05, at(1))).count(), 5);
    assert_eq!((0..50).filter(|_| budget.take_retry(at(1))).count(), 15);
}
