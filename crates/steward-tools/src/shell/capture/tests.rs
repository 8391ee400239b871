use std::sync::Mutex;

use futures_util::future::BoxFuture;

use super::*;

/// Keeps pieces in memory, or refuses.
#[derive(Default)]
struct Memory {
    kept: Mutex<Vec<Vec<u8>>>,
    refuses: bool,
}

impl Outputs for Memory {
    fn keep(&self, piece: Vec<u8>) -> BoxFuture<'_, Result<Piece, String>> {
        let kept = Piece {
            name: "piece".into(),
            rows: rows(&piece).count(),
        };
        self.kept.lock().expect("the list").push(piece);
        let answer = if self.refuses { Err("the disk is full".into()) } else { Ok(kept) };
        Box::pin(std::future::ready(answer))
    }

    fn join(&self, _pieces: Vec<Piece>) -> BoxFuture<'_, Result<String, String>> {
        Box::pin(std::future::ready(Ok("blob:1".into())))
    }
}

fn capture(memory: &Arc<Memory>) -> Capture {
    Capture::new(Shown {
        outputs: Arc::clone(memory) as Arc<dyn Outputs>,
        max_chars: 16_000,
    })
}

async fn captured(memory: &Arc<Memory>, pieces: &[&[u8]]) -> String {
    let mut capture = capture(memory);
    for piece in pieces {
        capture.push(piece).await;
    }
    capture.finish().await
}

fn numbers(count: usize) -> String {
    (1..=count).map(|number| format!("{number}\n")).collect()
}

#[tokio::test]
async fn short_output_is_whole_and_not_kept() {
    let memory = Arc::default();
    assert_eq!(captured(&memory, &[b"one\n", b"two\n"]).await, "one\ntwo\n");
    assert_eq!(captured(&memory, &[]).await, "");
    assert_eq!(
        captured(&memory, &["\u{e4}".as_bytes().split_at(1).0, &"\u{e4}".as_bytes()[1..]]).await,
        "\u{e4}"
    );
    assert_eq!(memory.kept.lock().expect("the list").len(), 0);
}

#[tokio::test]
async fn long_output_shows_its_ends_and_where_the_rest_is() {
    let memory = Arc::default();
    let whole = numbers(2_000_000);
    let pieces: Vec<&[u8]> = whole.as_bytes().chunks(30_000).collect();
    let text = captured(&memory, &pieces).await;
    assert!(text.starts_with("1\n2\n") && text.ends_with("\n2000000\n"), "{}", &text[..50]);
    assert!(text.chars().count() <= 16_000, "{} characters", text.chars().count());
    let (head, rest) = text.split_once("[…").expect("a note");
    let (note, tail) = rest.split_once("…]\n").expect("its end");
    let from = head.lines().count() + 1;
    let to = 2_000_000 - tail.lines().count();
    assert!(
        note.contains(&format!("{{\"path\": \"blob:1\", \"from\": {from}, \"to\": {to}}}")),
        "{note}"
    );
    assert!(note.contains(&format!("lines {from}-{to} of 2000000")), "{note}");
    assert_eq!(memory.kept.lock().expect("the list").concat(), whole.as_bytes());
}

#[tokio::test]
async fn a_line_without_end_is_kept_too() {
    let memory = Arc::default();
    let whole = "\u{fc}".repeat(1_500_000);
    let text = captured(&memory, &[whole.as_bytes()]).await;
    assert!(text.starts_with("\u{fc}\u{fc}") && text.ends_with("\u{fc}\u{fc}") && !text.contains('\u{fffd}'));
    assert!(text.chars().count() <= 16_000);
    assert_eq!(memory.kept.lock().expect("the list").concat(), whole.as_bytes());
}

#[tokio::test]
async fn what_cannot_be_kept_is_said() {
    let memory = Arc::new(Memory {
        refuses: true,
        ..Memory::default()
    });
    let text = captured(&memory, &[numbers(20_000).as_bytes()]).await;
    assert!(text.contains("bytes cut and not kept: the disk is full"), "{text}");
}

#[tokio::test]
async fn each_look_shows_what_is_new_and_no_half_characters() {
    let memory = Arc::default();
    let mut capture = capture(&memory);
    let bytes = "a\u{1f600}b".as_bytes();
    capture.push(&bytes[..3]).await;
    assert_eq!(capture.take_new().await, "a");
    capture.push(&bytes[3..]).await;
    assert_eq!(capture.take_new().await, "\u{1f600}b");
    assert_eq!(capture.take_new().await, "");
    capture.push(b"\xff\xff").await;
    assert_eq!(capture.take_new().await, "\u{fffd}\u{fffd}", "what is no text is not held back");
}
