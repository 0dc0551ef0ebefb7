//! Bad input: whatever is said, nothing panics, and what is kept can be read back.

use crate::driver::{Driver, fold};
use bedplate_core::time::Timestamp;
use bedplate_engine::{
    machine::Machine,
    workflow::{
        Definition, Workflow,
        definition::{MachineType, check},
        query::{Intrinsic, Path, Template, reference::ReferencePath},
        time,
    },
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i32>().prop_map(Value::from),
        "[$.\\[\\]'a-c0-9{}%() ]{0,12}".prop_map(Value::from),
        prop_oneof![Just("Task"), Just("Map"), Just("Choice"), Just("Pass"), Just("JSONata"), Just("A")]
            .prop_map(Value::from),
    ];
    let key = prop_oneof![
        Just("Type"),
        Just("Next"),
        Just("Choices"),
        Just("Branches"),
        Just("States"),
        Just("StartAt"),
        Just("Retry"),
        Just("Catch"),
        Just("Parameters"),
        Just("a.$"),
        Just("Assign"),
        Just("ItemProcessor"),
        Just("A"),
        Just("Seconds"),
    ];
    leaf.prop_recursive(5, 40, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((key.clone(), inner), 0..5).prop_map(|fields| Value::Object(
                fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            )),
        ]
    })
}

proptest! {
    #[test]
    fn a_definition_of_any_shape_is_judged_without_a_panic(state in value(), other in value()) {
        let text = json!({"StartAt": "A", "States": {"A": state, "B": other}}).to_string();
        let found = check(&text, MachineType::Express);
        prop_assert!(!found.is_empty() || Definition::parse(&text).is_ok());
    }

    #[test]
    fn a_path_call_or_time_of_any_text_is_read_or_refused(text in "[$.@?*:\\[\\]'\"a-cS0-9{}()\\\\, é-]{0,24}") {
        let _ = Path::parse(&text);
        let _ = Path::parse(&format!("${text}"));
        let _ = ReferencePath::parse(&format!("$.{text}"));
        let _ = Intrinsic::parse(&format!("States.Format({text})"));
        let _ = Template::jsonata(&Value::String(format!("{{%{text}%}}")));
        let _ = time::parse(&format!("2024-01-01T00:00:00{text}"));
        let _ = time::parse(&text);
    }
}

#[test]
fn a_value_that_grows_inward_ends_before_it_can_no_longer_be_read_back() {
    let definition = json!({"StartAt": "Wrap", "States": {"Wrap": {"Type": "Pass", "Parameters": {"a.$": "$"}, "Next": "Again"},
        "Again": {"Type": "Pass", "Next": "Wrap"}}});
    let mut driver = Driver::new(Definition::parse(&definition.to_string()).expect("it is valid"), Timestamp(0));
    driver.start("machine", json!({}));
    let ended = driver.state.ended().expect("it ends");
    assert_eq!(ended.error.as_deref(), Some("States.DataLimitExceeded"));
    assert_eq!(Workflow::snapshot(&fold(&driver.journal)), Workflow::snapshot(&driver.state));
}
