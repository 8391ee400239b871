use super::*;

fn user(name: &str) -> Principal {
    Principal::User(name.into())
}

fn turns(queue: &FairQueue<()>, tickets: &mut [(&str, Ticket<()>)]) -> Vec<String> {
    let mut order = Vec::new();
    while let Some(sender) = queue.pop() {
        // Whoever gave up is no longer in the queue.
        sender.send(()).expect("it waits");
        for (name, ticket) in tickets.iter_mut() {
            if ticket.turn.try_recv().is_ok() {
                order.push((*name).to_owned());
            }
        }
    }
    order
}

#[test]
fn principals_take_turns_whatever_each_has_sent() {
    let queue = FairQueue::default();
    let mut tickets: Vec<_> = ["loud", "loud", "loud", "quiet", "shy"]
        .into_iter()
        .map(|name| (name, queue.join(&user(name), 10).unwrap()))
        .collect();
    assert_eq!(turns(&queue, &mut tickets), ["loud", "quiet", "shy", "loud", "loud"]);
    assert_eq!(queue.len(), 0);
}

#[test]
fn it_is_bounded_and_who_leaves_makes_room_at_once() {
    let queue = FairQueue::default();
    let first = queue.join(&user("a"), 2).unwrap();
    let mut tickets = [("b", queue.join(&user("b"), 2).unwrap())];
    assert!(queue.join(&user("c"), 2).is_none());
    queue.leave(&user("a"), first.number);
    queue.leave(&user("a"), first.number);
    assert_eq!(queue.len(), 1);
    assert_eq!(turns(&queue, &mut tickets), ["b"]);
}
