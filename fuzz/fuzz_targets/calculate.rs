//! What a model writes into `calculate`: a number or an error, at once and of bounded length.
#![no_main]

use bedplate_tools::calculate::calculate;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match calculate(text) {
        Ok(number) => assert!(number.to_string().len() <= 100_000, "a number without end"),
        Err(error) => assert!(error.to_string().len() <= 10_000, "an error without end"),
    }
});
