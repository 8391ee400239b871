//! Error, bounds and arithmetic of histograms.

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;

fn filled(values: &[f64]) -> Snapshot {
    let histogram = Histogram::new(Range::SECONDS);
    for value in values {
        histogram.record(*value);
    }
    histogram.snapshot()
}

/// The value at a rank, as the histogram defines a percentile.
fn exact(sorted: &[f64], share: f64) -> f64 {
    sorted[((share * sorted.len() as f64).ceil() as usize).max(1) - 1]
}

#[test]
fn every_percentile_is_within_one_percent_of_the_exact_one() {
    let mut random = StdRng::seed_from_u64(7);
    let mut values: Vec<f64> = (0..20_000).map(|_| 10_f64.powf(random.random_range(-5.0..3.0))).collect();
    let snapshot = filled(&values);
    values.sort_by(f64::total_cmp);
    for share in [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0] {
        let (told, wanted) = (snapshot.quantile(share).unwrap(), exact(&values, share));
        let error = (told - wanted).abs() / wanted;
        assert!(error <= 0.01, "p{share}: {told} for {wanted}, {error}");
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    assert!((snapshot.mean().unwrap() - mean).abs() < 1e-9);
}

#[test]
fn a_power_of_two_is_the_upper_bound_of_its_bucket() {
    for power in -20..12 {
        let value = f64::from(power).exp2();
        assert_eq!(index_of(value), power * BUCKETS_I32 - 1, "2^{power}");
        assert_eq!(upper_bound(index_of(value)), value);
    }
}

#[test]
fn what_is_out_of_range_goes_to_the_outermost_bucket_and_what_is_no_number_nowhere() {
    let snapshot = filled(&[1e-300, 1e300, 0.0, -1.0, f64::NAN, f64::INFINITY]);
    assert_eq!(snapshot.count(), 4);
    assert_eq!(snapshot.zero, 2);
    assert_eq!(snapshot.buckets, [(-22 * 64, 1), (12 * 64 - 1, 1)]);
}

#[test]
fn merging_two_nodes_equals_counting_on_one() {
    let (left, right) = ([0.001, 0.5, 0.5, 3.0], [0.0, 0.5, 20.0]);
    let mut merged = filled(&left);
    merged.merge(&filled(&right));
    assert_eq!(merged, filled(&[&left[..], &right[..]].concat()));
}

#[test]
fn the_difference_of_two_moments_is_what_came_between() {
    let histogram = Histogram::new(Range::SECONDS);
    histogram.record(1.5);
    histogram.record(0.25);
    let earlier = histogram.snapshot();
    histogram.record(1.5);
    histogram.record(8.0);
    assert_eq!(histogram.snapshot().since(&earlier), filled(&[1.5, 8.0]));
}

#[test]
fn an_empty_histogram_has_no_percentile_and_takes_no_buckets() {
    assert_eq!(filled(&[]).quantile(0.5), None);
    let histogram = Histogram::new(Range::SECONDS);
    assert!(histogram.octaves.iter().all(|octave| octave.get().is_none()));
    histogram.record(0.3);
    assert_eq!(histogram.octaves.iter().filter(|octave| octave.get().is_some()).count(), 1);
}

#[test]
fn threads_lose_no_count() {
    let histogram = Histogram::new(Range::SECONDS);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..10_000).for_each(|_| histogram.record(0.5)));
        }
    });
    let snapshot = histogram.snapshot();
    assert_eq!((snapshot.count(), snapshot.sum), (40_000, 20_000.0));
}

#[test]
fn a_snapshot_travels_between_nodes_as_json() {
    let snapshot = filled(&[0.1, 0.2, 40.0]);
    let text = serde_json::to_string(&snapshot).unwrap();
    assert_eq!(serde_json::from_str::<Snapshot>(&text).unwrap(), snapshot);
}
