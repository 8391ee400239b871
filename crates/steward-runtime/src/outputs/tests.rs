use steward_testkit::fake_clock::FakeClock;

use super::*;

fn outputs() -> (OutputStore, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = Arc::new(FakeClock::default());
    let url = format!("sqlite:{}", folder.path().join("steward.db").display());
    let store = Store::open(&url, clock.now()).expect("opened");
    (OutputStore::new(store, clock), folder)
}

fn wanted(from: usize, to: usize) -> Wanted {
    Wanted {
        from,
        to,
        max_chars: 1_000,
    }
}

fn numbers(range: std::ops::RangeInclusive<usize>) -> String {
    range.map(|number| format!("{number}\n")).collect()
}

async fn joined(outputs: &OutputStore, pieces: &[String]) -> String {
    let mut kept = Vec::new();
    for piece in pieces {
        kept.push(outputs.keep(piece.clone().into_bytes()).await.expect("kept"));
    }
    outputs.join(kept).await.expect("joined")
}

#[tokio::test]
async fn rows_of_an_output_in_pieces_are_read_over_their_borders() {
    let (outputs, _folder) = outputs();
    let blob = joined(&outputs, &[numbers(1..=100), numbers(101..=250), numbers(251..=260)]).await;
    let read = async |from, to| outputs.read(&blob, wanted(from, to)).await;
    assert_eq!(read(1, 2).await.expect("read"), "1\n2");
    assert_eq!(read(99, 102).await.expect("read"), "99\n100\n101\n102");
    assert_eq!(read(101, 101).await.expect("read"), "101");
    assert_eq!(read(249, 9_999).await.expect("read"), numbers(249..=260).trim_end());
    assert_eq!(read(261, 300).await.expect_err("past the end"), "it has only 260 lines");
}

#[tokio::test]
async fn an_output_in_one_piece_is_its_blob() {
    let (outputs, _folder) = outputs();
    let blob = joined(&outputs, &[numbers(1..=5)]).await;
    assert_eq!(outputs.read(&blob, wanted(4, 5)).await.expect("read"), "4\n5");
    assert_eq!(
        outputs.read("blob_none", wanted(1, 2)).await.expect_err("none"),
        "there is no such blob"
    );
}

#[tokio::test]
async fn what_does_not_fit_says_where_to_read_on_and_the_whole_can_be_read_so() {
    let (outputs, _folder) = outputs();
    let whole = format!("{}{}\n{}", numbers(1..=400), "\u{fc}".repeat(9_000), numbers(1..=3));
    let blob = joined(&outputs, std::slice::from_ref(&whole)).await;
    let (mut from, mut all) = (1, String::new());
    loop {
        let text = outputs.read(&blob, wanted(from, usize::MAX)).await.expect("read");
        let Some((shown, note)) = text.rsplit_once("[lines ") else {
            all.push_str(&text);
            break;
        };
        assert!(shown.chars().count() <= 2_100, "{} characters", shown.chars().count());
        all.push_str(if shown.ends_with("\u{fc}\n") { shown.trim_end() } else { shown });
        from = note
            .rsplit_once("from=")
            .expect("where to read on")
            .1
            .trim_end_matches(']')
            .parse()
            .expect("a row");
    }
    assert_eq!(all.replace('\n', ""), whole.replace('\n', ""));
}
