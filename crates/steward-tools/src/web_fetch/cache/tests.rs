use super::*;

fn entry(text: &str) -> Arc<Entry> {
    Arc::new(Entry {
        url: "http://a/".into(),
        text: text.into(),
        detail: String::new(),
    })
}

#[test]
fn a_page_is_kept() {
    let cache = Cache::default();
    cache.put("http://a/".into(), entry("page"));
    assert_eq!(cache.get("http://a/"), Some(entry("page")));
    assert_eq!(cache.get("http://b/"), None);
}

#[test]
fn the_oldest_page_makes_room() {
    let cache = Cache::default();
    for number in 0..=MAX_ENTRIES {
        cache.put(format!("http://a/{number}"), entry("page"));
    }
    assert_eq!(cache.get("http://a/0"), None);
    assert!(cache.get("http://a/1").is_some() && cache.get(&format!("http://a/{MAX_ENTRIES}")).is_some());
}

#[test]
fn a_huge_page_is_not_kept() {
    let cache = Cache::default();
    cache.put("http://a/".into(), entry(&"x".repeat(MAX_TEXT_BYTES + 1)));
    assert_eq!(cache.get("http://a/"), None);
}
