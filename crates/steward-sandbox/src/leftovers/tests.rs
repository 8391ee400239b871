use std::process::{Child, Command};

use super::*;

fn sleeper(mark: &str) -> Child {
    let child = Command::new("sleep").arg("60").env(VARIABLE, mark).spawn().expect("it starts");
    // Between fork and exec it has our environment.
    while mark_of(child.id() as i32).as_deref() != Some(mark) {
        std::thread::yield_now();
    }
    child
}

fn is_dead(child: &mut Child) -> bool {
    child.try_wait().expect("asked").is_some()
}

#[test]
fn only_the_leftovers_of_the_same_home_are_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let other = tempfile::tempdir().expect("a folder");
    let (owner, stranger) = (Owner::of_home(folder.path()), Owner::of_home(other.path()));
    assert_ne!(owner, stranger);
    let parent = std::os::unix::process::parent_id();
    let of_the_living = format!("{}-{parent}-{}-7", owner.0, born_at(parent).expect("our parent lives"));
    let mut left = sleeper(&format!("{}-{parent}-1-7", owner.0));
    let mut kept = [sleeper(&stranger.mark()), sleeper(&of_the_living), sleeper("nonsense")];
    assert_eq!(owner.kill_leftovers(), 1);
    left.wait().expect("it ends");
    assert!(kept.iter_mut().all(|child| !is_dead(child)));
    for mut child in kept {
        child.kill().expect("killed");
        child.wait().expect("it ends");
    }
}

#[test]
fn one_command_is_found_by_its_mark() {
    let marks = [Owner::nobody().mark(), Owner::nobody().mark()];
    let [mut first, mut second] = [sleeper(&marks[0]), sleeper(&marks[1])];
    assert_eq!(kill_marked(&marks[0]), 1);
    first.wait().expect("it ends");
    assert!(!is_dead(&mut second));
    assert_eq!(kill_marked(&marks[1]), 1);
    second.wait().expect("it ends");
}
