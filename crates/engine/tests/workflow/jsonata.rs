//! The official JSONata suite on the evaluator that the machine uses.

use crate::cases::{files, folder, read};
use bedplate_core::time::Timestamp;
use bedplate_engine::workflow::query::jsonata::evaluate_plain;
use serde_json::{Map, Value};
use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

/// The part of the suite, in per cent, below which it must not fall.
const FLOOR: f64 = 99.0;

#[test]
fn the_official_suite_gives_what_it_says_and_never_crashes() {
    let Some(folder) = folder().map(|folder| folder.join("jsonata")) else {
        println!("skipped: there are no cases; set BEDPLATE_CASES");
        return;
    };
    // Deep recursion is part of the suite; a thread of a test has little stack.
    let run = std::thread::Builder::new().stack_size(64 << 20).spawn(move || suite(&folder));
    let (right, all, crashed) = run.expect("a thread starts").join().expect("the suite ends");
    println!("jsonata: {right} of {all}, {crashed} crashed");
    assert_eq!(crashed, 0);
    assert!(100.0 * f64::from(right) >= FLOOR * f64::from(all), "{right} of {all}");
}

fn suite(folder: &Path) -> (u32, u32, u32) {
    let (mut right, mut all, mut crashed) = (0, 0, 0);
    let mut groups: Vec<_> = fs::read_dir(folder.join("groups"))
        .map(|dirs| dirs.flatten().map(|dir| dir.path()).collect())
        .unwrap_or_default();
    groups.sort();
    for group in groups {
        for file in files(&group) {
            // A case with half a character in it is no text of this language.
            let Some(cases) = fs::read_to_string(&file).ok().and_then(|text| serde_json::from_str(&text).ok()) else {
                all += 1;
                println!("short: {}: it cannot be read", file.display());
                continue;
            };
            let cases = match cases {
                Value::Array(cases) => cases,
                case => vec![case],
            };
            for case in cases {
                all += 1;
                match catch_unwind(AssertUnwindSafe(|| holds(folder, &group, &case))) {
                    Ok(Ok(())) => right += 1,
                    Ok(Err(why)) => println!("short: {} {}: {why}", file.display(), case["expr"]),
                    Err(_) => {
                        crashed += 1;
                        println!("crashed: {} {}", file.display(), case["expr"]);
                    }
                }
            }
        }
    }
    (right, all, crashed)
}

fn holds(folder: &Path, group: &Path, case: &Value) -> Result<(), String> {
    let source = match case["expr-file"].as_str() {
        Some(file) => fs::read_to_string(group.join(file)).map_err(|error| error.to_string())?,
        None => case["expr"].as_str().unwrap_or_default().to_owned(),
    };
    let data = match case["dataset"].as_str() {
        Some(dataset) => Some(read(&folder.join("datasets").join(format!("{dataset}.json")))),
        None => case.get("data").cloned(),
    };
    let none = Map::new();
    let bindings = case["bindings"].as_object().unwrap_or(&none);
    let limits = (case["timelimit"].as_u64(), case["depth"].as_u64().and_then(|depth| usize::try_from(depth).ok()));
    let now = Timestamp(1_700_000_000_000);
    let given = evaluate_plain(&source, data.as_ref(), bindings, limits, now);
    let code = case["code"].as_str().or(case["error"]["code"].as_str());
    match (code, given) {
        (Some(code), Err(message)) if message.starts_with(code) => Ok(()),
        (Some(code), other) => Err(format!("wanted {code}, got {other:?}")),
        (None, Err(message)) => Err(message),
        (None, Ok(None)) if case.get("result").is_none() => Ok(()),
        (None, Ok(Some(value))) if case.get("result").is_some_and(|result| equal(result, &value)) => Ok(()),
        // Such a case only says that the evaluation ends.
        (None, Ok(_)) if case.get("result").is_none() && case.get("undefinedResult").is_none() => Ok(()),
        (None, other) => Err(format!("wanted {}, got {other:?}", case["result"])),
    }
}

/// Returns whether two values are the same; numbers up to the last digits.
fn equal(expected: &Value, actual: &Value) -> bool {
    match (expected, actual) {
        (Value::Number(expected), Value::Number(actual)) => {
            let (expected, actual) = (expected.as_f64().unwrap_or(0.0), actual.as_f64().unwrap_or(f64::NAN));
            (expected - actual).abs() <= expected.abs() * 1e-14
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, left)| right.get(key).is_some_and(|right| equal(left, right)))
        }
        _ => expected == actual,
    }
}
