//! The promises of the Journal port. [`all`] is the visible list; each adapter's tests run it.

mod blobs;
mod claims;
mod deletion;
mod ended;
mod events;
mod fixture;
mod lists;
mod signals;
mod snapshots;

use bedplate_core::port::{BoxFuture, journal::Journal};
use std::sync::Arc;

/// An adapter under test. Each one begins empty.
pub trait Subject: Send + Sync {
    /// Returns the journals.
    fn journal(&self) -> Arc<dyn Journal>;

    /// Ends the process that holds the store, as far as the store can tell, and opens it again.
    fn reopen(&mut self);

    /// Moves the store's own clock, which only the age of blobs hangs on.
    fn advance(&self, by: std::time::Duration);
}

/// A promise: its name, and what checks it on an empty adapter.
pub type Promise = (&'static str, fn(Box<dyn Subject>) -> BoxFuture<'static, ()>);

macro_rules! promises {
    ($($module:ident :: $name:ident,)*) => {
        /// Returns every promise by name.
        #[must_use]
        pub fn promises() -> Vec<Promise> {
            vec![$((stringify!($name), |subject| Box::pin($module::$name(subject)))),*]
        }
    };
}

promises! {
    events::a_created_run_is_claimed_and_read_back_whole,
    events::a_run_is_created_once,
    events::a_new_run_needs_an_event_and_consumes_nothing,
    ended::runs_that_are_over_are_created_together_and_each_once,
    ended::a_run_that_was_created_over_is_a_run_as_any,
    ended::of_runs_that_are_created_together_all_or_none_are_written,
    ended::runs_that_were_created_together_are_listed_in_pages,
    ended::runs_that_were_created_together_are_deleted_each_alone,
    ended::a_blob_goes_with_the_last_of_the_runs_that_were_created_together,
    ended::retention_and_the_deletion_of_a_person_take_runs_that_were_created_together,
    events::an_append_needs_the_present_position,
    events::an_append_needs_the_present_claim,
    events::of_two_appends_with_the_same_expectation_one_succeeds,
    events::a_refused_append_leaves_every_other_run_alone,
    events::an_append_without_events_changes_the_head_only,
    events::a_title_touches_the_run_and_nothing_else_does,
    events::events_are_read_in_pages_of_whole_batches,
    events::a_long_journal_is_read_from_every_position,
    events::every_number_and_character_reads_back_as_it_was,
    events::what_was_acknowledged_survives_the_process,
    events::a_run_that_does_not_exist_reads_as_empty_and_takes_no_append,
    blobs::a_large_event_is_read_back_as_it_was,
    blobs::a_batch_over_a_limit_is_refused_for_good,
    blobs::a_blob_is_kept_once_and_for_its_tenant_only,
    blobs::an_append_cannot_refer_to_a_blob_that_is_not_stored,
    blobs::a_blob_goes_with_the_last_run_that_refers_to_it,
    blobs::a_large_event_goes_with_its_run,
    blobs::a_blob_that_no_run_refers_to_is_kept_for_an_hour,
    blobs::a_blob_put_again_is_not_taken_away_with_an_old_run,
    claims::a_claim_fences_every_older_one,
    claims::a_claim_stays_within_its_tenant,
    claims::what_is_due_is_claimed_once_until_its_lease_ends,
    claims::runs_that_wait_for_nothing_are_never_due,
    claims::the_limit_bounds_what_is_claimed,
    claims::work_of_a_dead_process_is_due_at_once,
    claims::next_due_tells_the_earliest_time,
    signals::a_signal_makes_its_run_due_and_waits_until_it_is_consumed,
    signals::a_second_signal_with_a_key_is_dropped_also_after_the_first_was_consumed,
    signals::signals_come_oldest_first_and_at_most_fifty,
    signals::a_signal_that_came_meanwhile_keeps_the_run_due,
    signals::a_signal_is_consumed_once_or_the_append_is_refused,
    signals::a_refused_append_consumes_no_signal,
    signals::a_signal_to_nobody_or_of_too_many_bytes_is_refused,
    deletion::a_deleted_run_is_gone_and_its_id_is_not_used_again,
    deletion::deleting_what_is_not_there_removes_nothing,
    deletion::deleting_a_user_takes_all_runs_and_forks_and_nobody_elses,
    deletion::retention_takes_idle_runs_that_nobody_touched,
    deletion::a_fork_begins_with_a_copy_and_goes_its_own_way,
    deletion::a_fork_ends_at_the_end_of_a_batch,
    deletion::a_fork_keeps_the_blobs_that_it_shows,
    deletion::a_long_run_is_forked_whole,
    lists::a_list_shows_the_latest_touched_first_page_by_page,
    lists::a_list_is_narrowed_by_user_name_state_and_text,
    lists::a_list_shows_one_tenant_only,
    lists::a_cursor_that_is_none_is_refused,
    lists::one_id_in_two_tenants_is_two_runs,
    snapshots::the_latest_snapshot_is_kept,
    snapshots::a_snapshot_needs_its_run,
}

/// Checks every promise, each on a fresh adapter.
///
/// # Panics
/// When a promise is broken; the message before names it.
pub async fn all(fresh: impl Fn() -> Box<dyn Subject>) {
    for (name, check) in promises() {
        let guard = Named(name);
        check(fresh()).await;
        std::mem::forget(guard);
    }
}

/// Says which promise was being checked when a panic passes.
struct Named(&'static str);

impl Drop for Named {
    fn drop(&mut self) {
        eprintln!("broken promise: {}", self.0);
    }
}
