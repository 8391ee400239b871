use super::*;

fn failures(list: &[(&str, ModelErrorKind, Option<u64>)]) -> Failures {
    let mut failures = Failures::default();
    for (target, kind, seconds) in list {
        let mut error = ModelError::new(*kind, "no");
        if let Some(seconds) = seconds {
            error.retry = Retry::After(Duration::from_secs(*seconds));
        }
        failures.add(target, error);
    }
    failures
}

#[test]
fn only_rate_limits_give_a_rate_limit_with_the_soonest_retry() {
    let list = [
        ("a/1", ModelErrorKind::RateLimited, Some(9)),
        ("b/1", ModelErrorKind::RateLimited, Some(4)),
    ];
    let error = failures(&list).into_error();
    assert_eq!(
        (error.kind, error.retry),
        (ModelErrorKind::RateLimited, Retry::After(Duration::from_secs(4)))
    );
}

#[test]
fn only_refused_keys_give_provider_auth() {
    let error = failures(&[("a/1", ModelErrorKind::Auth, None)]).into_error();
    assert_eq!(error.kind, ModelErrorKind::Auth);
    assert!(error.message.starts_with("provider_auth: a/1: "), "{error}");
}

#[test]
fn anything_else_is_no_target_and_names_each() {
    let server = ModelErrorKind::Server;
    let error = failures(&[("a/1", server, None), ("a/1", server, None), ("b/1", ModelErrorKind::Auth, None)]).into_error();
    assert_eq!(error.kind, ModelErrorKind::NoTarget);
    assert_eq!(
        error.message,
        "no target answered: a/1: server error: no (2 times); b/1: key refused: no"
    );
}
