//! Simulated clock, scripted ports, faulty store, conformance suites.

pub mod clock;
pub mod conformance;
pub mod faulty;
pub mod scripted;
pub mod sim;
