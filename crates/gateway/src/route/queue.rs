//! Who goes next when a route is busy: interactive before batch, and within each the tenants in turn.
//!
//! Batch is held back but not starved: it gets every eighth place that comes free while both wait.

use bedplate_core::id::Tenant;
use std::collections::{BTreeMap, VecDeque};

/// How urgent a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Somebody waits for it.
    Interactive,
    /// Nobody waits for it.
    Batch,
}

/// A queue of `T` that is fair between tenants. The order within a tenant is that of arrival.
#[derive(Debug)]
pub struct FairQueue<T> {
    interactive: Lanes<T>,
    batch: Lanes<T>,
    /// How many interactive ones went in a row while batch waited.
    skipped: u32,
    next_id: u64,
}

#[derive(Debug)]
struct Lanes<T> {
    lanes: BTreeMap<Tenant, VecDeque<(u64, T)>>,
    /// Whose turn it is; every tenant with a lane stands in it once.
    turns: VecDeque<Tenant>,
    length: usize,
}

/// How many interactive calls go before a waiting batch call does.
const SKIPS: u32 = 7;

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self { interactive: Lanes::default(), batch: Lanes::default(), skipped: 0, next_id: 0 }
    }
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self { lanes: BTreeMap::new(), turns: VecDeque::new(), length: 0 }
    }
}

impl<T> FairQueue<T> {
    /// Puts `item` at the end of its tenant's lane and returns by what it can be taken out again.
    pub fn push(&mut self, class: Class, tenant: &Tenant, item: T) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.lanes(class).push(tenant, id, item);
        id
    }

    /// Takes the next.
    pub fn pop(&mut self) -> Option<T> {
        let batch_waits = self.batch.length > 0;
        if self.interactive.length == 0 || (batch_waits && self.skipped >= SKIPS) {
            self.skipped = 0;
            return self.batch.pop().or_else(|| self.interactive.pop());
        }
        if batch_waits {
            self.skipped += 1;
        }
        self.interactive.pop()
    }

    /// Takes out an item that waits no longer; returns whether it was still there.
    pub fn remove(&mut self, class: Class, tenant: &Tenant, id: u64) -> bool {
        self.lanes(class).remove(tenant, id)
    }

    /// Returns how many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.interactive.length + self.batch.length
    }

    /// Returns how many would go before a new call of `class` and `tenant`, at most.
    #[must_use]
    pub fn ahead(&self, class: Class, tenant: &Tenant) -> usize {
        match class {
            Class::Interactive => {
                let ahead = self.interactive.ahead(tenant);
                ahead + (ahead / SKIPS as usize).min(self.batch.length)
            }
            Class::Batch => {
                let ahead = self.batch.ahead(tenant);
                ahead + self.interactive.length.min((ahead + 1) * SKIPS as usize)
            }
        }
    }

    fn lanes(&mut self, class: Class) -> &mut Lanes<T> {
        match class {
            Class::Interactive => &mut self.interactive,
            Class::Batch => &mut self.batch,
        }
    }
}

impl<T> Lanes<T> {
    fn push(&mut self, tenant: &Tenant, id: u64, item: T) {
        self.length += 1;
        match self.lanes.get_mut(tenant) {
            Some(lane) => lane.push_back((id, item)),
            None => {
                self.lanes.insert(tenant.clone(), VecDeque::from([(id, item)]));
                self.turns.push_back(tenant.clone());
            }
        }
    }

    fn pop(&mut self) -> Option<T> {
        let tenant = self.turns.pop_front()?;
        let lane = self.lanes.get_mut(&tenant)?;
        let (_, item) = lane.pop_front()?;
        self.length -= 1;
        if lane.is_empty() {
            self.lanes.remove(&tenant);
        } else {
            self.turns.push_back(tenant);
        }
        Some(item)
    }

    fn remove(&mut self, tenant: &Tenant, id: u64) -> bool {
        let Some(lane) = self.lanes.get_mut(tenant) else { return false };
        let Some(at) = lane.iter().position(|(other, _)| *other == id) else { return false };
        lane.remove(at);
        self.length -= 1;
        if lane.is_empty() {
            self.lanes.remove(tenant);
            self.turns.retain(|other| other != tenant);
        }
        true
    }

    /// Each other tenant goes at most as often as this one's lane is long, and once more.
    fn ahead(&self, tenant: &Tenant) -> usize {
        let own = self.lanes.get(tenant).map_or(0, VecDeque::len);
        let others = self.lanes.iter().filter(|(other, _)| *other != tenant);
        own + others.map(|(_, lane)| lane.len().min(own + 1)).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> Tenant {
        name.into()
    }

    #[test]
    fn one_tenants_flood_does_not_hold_up_another() {
        let mut queue = FairQueue::default();
        for n in 0..100 {
            queue.push(Class::Interactive, &tenant("loud"), format!("loud {n}"));
        }
        assert_eq!(queue.ahead(Class::Interactive, &tenant("quiet")), 1);
        queue.push(Class::Interactive, &tenant("quiet"), "quiet".to_owned());
        let first: Vec<_> = (0..2).map_while(|_| queue.pop()).collect();
        assert_eq!(first, ["loud 0", "quiet"]);
    }

    #[test]
    fn interactive_goes_before_batch_which_is_not_starved() {
        let mut queue = FairQueue::default();
        queue.push(Class::Batch, &tenant("a"), "batch");
        for _ in 0..20 {
            queue.push(Class::Interactive, &tenant("a"), "interactive");
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!((order.len(), order.iter().position(|it| *it == "batch")), (21, Some(7)));
    }

    #[test]
    fn who_gives_up_leaves_no_gap() {
        let mut queue = FairQueue::default();
        let id = queue.push(Class::Batch, &tenant("a"), 1);
        queue.push(Class::Batch, &tenant("b"), 2);
        assert!(queue.remove(Class::Batch, &tenant("a"), id));
        assert!(!queue.remove(Class::Batch, &tenant("a"), id));
        assert_eq!((queue.len(), queue.pop(), queue.pop()), (1, Some(2), None));
    }
}
