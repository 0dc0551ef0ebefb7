//! The fields that each kind of state has.

use super::reader::Fields;

const COMMON: [&str; 5] = ["Type", "Comment", "QueryLanguage", "Next", "End"];
const FLOW: [&str; 4] = ["InputPath", "OutputPath", "Output", "Assign"];
const RESULT: [&str; 5] = ["Parameters", "Arguments", "ResultSelector", "ResultPath", "Retry"];

/// Notes fields that a state of this kind does not have.
pub(super) fn check(fields: &Fields<'_>, kind: &str) {
    let own: &[&str] = match kind {
        "Task" => &[
            "Resource",
            "Credentials",
            "TimeoutSeconds",
            "TimeoutSecondsPath",
            "HeartbeatSeconds",
            "HeartbeatSecondsPath",
            "Catch",
        ],
        "Choice" => &["Choices", "Default"],
        "Parallel" => &["Branches", "Catch"],
        "Map" => &[
            "ItemProcessor",
            "Iterator",
            "ItemsPath",
            "Items",
            "ItemSelector",
            "ItemReader",
            "ItemBatcher",
            "ResultWriter",
            "MaxConcurrency",
            "MaxConcurrencyPath",
            "ToleratedFailureCount",
            "ToleratedFailureCountPath",
            "ToleratedFailurePercentage",
            "ToleratedFailurePercentagePath",
            "Label",
            "Catch",
        ],
        "Wait" => &["Seconds", "SecondsPath", "Timestamp", "TimestampPath"],
        "Pass" => &["Result", "ResultPath", "Parameters", "Arguments"],
        "Fail" => &["Error", "ErrorPath", "Cause", "CausePath"],
        _ => &[],
    };
    let has_result = matches!(kind, "Task" | "Parallel" | "Map");
    for name in fields.fields.keys() {
        let name = name.as_str();
        let known = COMMON.contains(&name)
            || own.contains(&name)
            || (kind != "Fail" && FLOW.contains(&name))
            || (has_result && RESULT.contains(&name));
        if !known {
            fields.wrong(name, format!("Field '{name}' is not supported"));
        }
    }
}
