//! Drives machines: journaling, wake-ups, recovery, live streams.
