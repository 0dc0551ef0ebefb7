//! A paced mock of model servers, and the load on whatever stands before it.
//!
//! ```text
//! wire mock   PORT CHUNKS PAUSE_MS                                    serves until it is stopped
//! wire closed ADDRESS PATH BODY_FILE CONNECTIONS WARMUP_S SECONDS [HEADER…]   as fast as answers come
//! wire paced  ADDRESS PATH BODY_FILE CONNECTIONS RATE SECONDS [HEADER…]       RATE requests a second, whatever comes
//! wire stream ADDRESS PATH BODY_FILE CONNECTIONS ROUNDS [HEADER…]             streams at once, read to their ends
//! ```
//! The load prints one line of JSON. Each connection is a thread that blocks, which costs nothing while others work.

mod load;
mod mock;
mod wire;

use std::process::ExitCode;

/// Threads only block on a socket; the default of 2 MiB each would be address space for nothing.
pub const STACK_BYTES: usize = 256 * 1024;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["mock", port, chunks, pause] => mock::serve(number(port) as u16, number(chunks) as usize, number(pause)),
        ["closed", address, path, body, connections, warmup, seconds, headers @ ..] => {
            load::Target::read(address, path, body, headers)
                .and_then(|target| load::closed(&target, number(connections) as usize, number(warmup), number(seconds)))
        }
        ["paced", address, path, body, connections, rate, seconds, headers @ ..] => {
            load::Target::read(address, path, body, headers)
                .and_then(|target| load::paced(&target, number(connections) as usize, number(rate), number(seconds)))
        }
        ["stream", address, path, body, connections, rounds, headers @ ..] => {
            load::Target::read(address, path, body, headers)
                .and_then(|target| load::streams(&target, number(connections) as usize, number(rounds)))
        }
        _ => {
            eprintln!("wire: see the head of bench/gateway/wire/src/main.rs for how it is called");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wire: {error}");
            ExitCode::FAILURE
        }
    }
}

fn number(word: &str) -> u64 {
    word.parse().unwrap_or_else(|_| {
        eprintln!("wire: {word:?} is no number");
        std::process::exit(2)
    })
}
