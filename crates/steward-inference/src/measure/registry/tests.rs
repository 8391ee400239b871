//! Labels are bounded, and a call finds its series again.

use steward_domain::id::{AgentName, RequestId};
use steward_domain::principal::Principal;

use super::*;

fn of_team(team: &str) -> Caller {
    Caller {
        team: Some(team.to_owned()),
        ..caller(Some("main".into()))
    }
}

fn caller(agent: Option<String>) -> Caller {
    Caller {
        agent: agent.map(|agent| AgentName::from(agent.as_str())),
        ..Caller::new(Principal::System, RequestId::generate())
    }
}

#[test]
fn the_same_labels_are_the_same_series_also_after_a_change_of_the_tables() {
    let measures = Arc::new(Measures::default());
    let target: Arc<str> = "a/m".into();
    let before = TargetMeasures::new(&measures, "default", &target);
    let after = TargetMeasures::new(&measures, "default", &target);
    let main = caller(Some("main".into()));
    assert!(Arc::ptr_eq(&before.of(&of_team("red")), &after.of(&of_team("red"))));
    assert!(!Arc::ptr_eq(&before.of(&main), &before.of(&caller(None))));
    assert_eq!(measures.all().len(), 3);
}

#[test]
fn many_agents_at_one_target_end_in_one_series_of_others() {
    let measures = Arc::new(Measures::default());
    let target = TargetMeasures::new(&measures, "default", &"a/m".into());
    for number in 0..500 {
        target.of(&caller(Some(format!("agent-{number}"))));
    }
    assert_eq!(measures.all().len(), CALLERS_LIMIT + 1);
    assert_eq!(&*measures.all()[CALLERS_LIMIT].labels.agent, OTHER);
}

#[test]
fn many_targets_end_in_one_series_of_others() {
    let measures = Arc::new(Measures::default());
    for number in 0..2 * SERIES_LIMIT {
        let name: Arc<str> = format!("a/m-{number}").into();
        TargetMeasures::new(&measures, DIRECT, &name).of(&caller(None));
    }
    assert_eq!(measures.all().len(), SERIES_LIMIT + 1);
    assert_eq!(&*measures.all()[SERIES_LIMIT].labels.target, "other/other");
}
