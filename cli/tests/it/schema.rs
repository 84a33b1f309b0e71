//! `weir schema`.

use crate::weir::weir;

#[test]
fn the_configuration_has_a_schema() {
    let schema = weir(&["schema", "config"]).ends(0).json();
    assert_eq!(schema["title"], "Weir's configuration");
    assert!(schema["properties"]["accounts"]["items"]["properties"]["rules"].is_object());
}

#[test]
fn every_type_of_event_has_a_schema() {
    let list = weir(&["schema", "events", "--list"]);
    list.ends(0).says(&[
        "weir.message.text\n",
        "weir.event.subscribe\n",
        "weir.user.snapshot\n",
    ]);
    let all = weir(&["schema", "events"]).ends(0).json();
    for kind in list.out.lines() {
        assert_eq!(all[kind]["type"], "object", "{kind}");
    }
    let one = weir(&["schema", "events", "weir.message.text"])
        .ends(0)
        .json();
    assert_eq!(one, all["weir.message.text"]);
}

#[test]
fn a_type_that_does_not_exist_has_none() {
    let run = weir(&["schema", "events", "weir.message.txt"]);
    run.ends(2);
    assert!(
        run.err
            .contains("there is no event of type \"weir.message.txt\""),
        "{}",
        run.err
    );
}
