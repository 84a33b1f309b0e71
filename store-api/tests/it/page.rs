use std::path::PathBuf;

use weir_store_api::docs::{page, schemas};

fn committed() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/events.md")
}

#[test]
fn the_committed_reference_is_what_the_table_says() {
    if std::env::var_os("WEIR_REWRITE").is_some() {
        std::fs::write(committed(), page()).unwrap();
    }
    let committed = std::fs::read_to_string(committed()).unwrap();
    let first = page()
        .lines()
        .zip(committed.lines())
        .position(|(new, old)| new != old);
    assert!(
        page() == committed,
        "docs/events.md is out of date from line {}: WEIR_REWRITE=1 cargo test -p weir-store-api",
        first.map_or(committed.lines().count(), |line| line + 1)
    );
}

#[test]
fn the_reference_has_every_event_once_and_every_table_is_whole() {
    let page = page();
    for event in schemas() {
        let heading = format!("### `{}`\n", event.kind);
        assert_eq!(page.matches(&heading).count(), 1, "{heading}");
    }
    let mut columns = 0;
    for line in page.lines() {
        let cells = line.replace("\\|", "").matches('|').count();
        if columns > 0 && cells > 0 {
            assert_eq!(cells, columns, "{line}");
        }
        columns = cells;
    }
}
