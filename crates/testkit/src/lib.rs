//! Simulated clock, scripted ports, faulty store, conformance suites.
