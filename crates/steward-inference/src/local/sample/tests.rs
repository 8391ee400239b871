use super::{Sampler, Sampling, best_allowed};

fn sampler(temperature: f64, top_p: f64) -> Sampler {
    Sampler::new(&Sampling {
        temperature,
        top_p,
        tokens_max: 8,
        stop: Vec::new(),
    })
}

#[test]
fn the_likeliest_allowed_token_is_taken_at_temperature_zero() {
    assert_eq!(sampler(0.0, 1.0).pick(&mut [0.1, 3.0, 2.0], |_| true), 1);
    assert_eq!(sampler(0.0, 1.0).pick(&mut [0.1, 3.0, 2.0], |id| id != 1), 2);
}

#[test]
fn the_best_allowed_tokens_are_found_among_many() {
    let logits: Vec<f32> = (0..5_000u32).map(|i| (i * 7919 % 5_000) as f32).collect();
    let best = best_allowed(&logits, 3, |id| logits[id as usize] < 100.0);
    let values: Vec<f32> = best.iter().map(|id| logits[*id as usize]).collect();
    assert_eq!(values, [99.0, 98.0, 97.0]);
}

#[test]
fn a_small_nucleus_leaves_only_the_likeliest() {
    for _ in 0..50 {
        assert_eq!(sampler(1.0, 0.1).pick(&mut [1.0, 5.0, 1.0, 1.0], |_| true), 1);
    }
}

#[test]
fn a_token_just_written_loses_a_tie() {
    let mut sampler = sampler(0.0, 1.0);
    assert_eq!(sampler.pick(&mut [2.0, 2.1], |_| true), 1);
    assert_eq!(sampler.pick(&mut [2.0, 2.1], |_| true), 0);
}
