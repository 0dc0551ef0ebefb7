//! Tests of the runtime through its handle, with the store in memory, virtual time and scripted ports.

mod forks;
mod live;
mod map_runs;
mod simulation;
mod support;
mod turns;
mod workflow_simulation;
mod workflows;
