//! `demo`.

use crate::support::Place;
use serde_json::json;

#[test]
fn a_project_is_filled_once_unless_it_is_forced() {
    let place = Place::new();
    let size = ["--events", "5", "--vendors", "6", "--sponsors", "2"];
    let run = |more: &[&str]| place.run(&[&["demo", "--project", "tour"], &size[..], more].concat());

    let first = run(&["--json"]).json();
    let second = run(&[]);
    let forced = run(&["--force", "--bare", "--json"]).json();
    let elsewhere = run(&["--environment", "test"]);

    assert_eq!(
        (&first["events"], &first["vendors"], &first["sponsors"], &first["seed"]),
        (&json!(5), &json!(6), &json!(2), &json!(1))
    );
    assert!(first["tasks"].as_u64() > Some(20) && first["budgetItems"].as_u64() >= Some(45), "{first}");
    assert_eq!((second.code, second.stdout.as_str()), (Some(1), ""));
    assert!(second.stderr.contains("has events already") && second.stderr.contains("--force"), "{second:?}");
    assert_eq!((&forced["events"], &forced["tasks"]), (&json!(5), &json!(0)));
    assert_eq!(elsewhere.code, Some(0), "the other environment has none: {elsewhere:?}");
    assert!(elsewhere.stdout.contains("made up") && elsewhere.stdout.contains("events"));
}
