//! What happened in each branch of an execution, told so that two executions can be compared: without positions, times
//! and tokens, and without the attempts whose outcome a crash left unknown and whose Retry repeated them.

use bedplate_core::{
    event::{Entry, Event},
    id::CallId,
    workflow_event::{BranchId, WorkflowEvent},
};
use std::collections::BTreeMap;

/// What happened in a branch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    pub events: Vec<String>,
    /// It came to its end; else something else ended it.
    pub done: bool,
}

/// Returns what happened in each branch. A branch is named by where it began: which Parallel or Map of which branch, and
/// which part of it.
pub fn lines(entries: &[Entry]) -> BTreeMap<String, Line> {
    let mut told = Told::default();
    for entry in entries {
        if let Event::Workflow(event) = &entry.event {
            told.tell(entry.seq, event);
        }
    }
    told.lines
}

/// Returns how two executions differ; none when they do not. A branch that did not come to its end in one of them may
/// have got further in the other.
pub fn difference(one: &BTreeMap<String, Line>, other: &BTreeMap<String, Line>) -> Option<String> {
    let none = Line::default();
    let names: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    names.into_iter().find_map(|name| {
        let (a, b) = (one.get(name).unwrap_or(&none), other.get(name).unwrap_or(&none));
        let same = if a.done && b.done {
            a.events == b.events
        } else {
            a.events.iter().zip(&b.events).all(|(a, b)| a == b)
                && (!a.done || b.events.len() <= a.events.len())
                && (!b.done || a.events.len() <= b.events.len())
        };
        (!same).then(|| format!("branch {name}:\n  {}\nand\n  {}", a.events.join("\n  "), b.events.join("\n  ")))
    })
}

#[derive(Default)]
struct Told {
    lines: BTreeMap<String, Line>,
    names: BTreeMap<BranchId, String>,
    next: BranchId,
    /// How many Parallels and Maps began in a branch.
    joins: BTreeMap<BranchId, u64>,
    calls: BTreeMap<CallId, BranchId>,
    /// An attempt's outcome is unknown: the Retry that follows is not told.
    unknown: BTreeMap<BranchId, bool>,
}

impl Told {
    fn tell(&mut self, seq: CallId, event: &WorkflowEvent) {
        match event {
            WorkflowEvent::Started(_) => {
                self.begin("0".to_owned());
            }
            WorkflowEvent::Entered(event) => self.say(event.branch, format!("entered {}", event.state)),
            WorkflowEvent::Exited(event) => {
                self.say(event.branch, format!("exited {:?} {:?} {:?}", event.output, event.assigned, event.next));
                if event.next.is_none() {
                    self.line(event.branch).done = true;
                }
            }
            WorkflowEvent::Failed(event) => {
                self.say(event.branch, format!("failed {:?} {:?}", event.error, event.by.is_some()));
            }
            WorkflowEvent::Retried(event) => {
                let unknown = self.unknown.remove(&event.branch).unwrap_or(false);
                let retried = (!unknown).then(|| format!("retried by {}", event.retrier));
                retried.into_iter().for_each(|said| self.say(event.branch, said));
            }
            WorkflowEvent::WaitStarted(event) => self.say(event.branch, "waits".to_owned()),
            WorkflowEvent::TaskScheduled(event) => {
                self.calls.insert(seq, event.branch);
                self.say(event.branch, format!("scheduled {} {:?}", event.resource, event.input));
            }
            WorkflowEvent::TaskSucceeded(event) => {
                // What a child says of its own times differs.
                let output = event.output.get("Output").unwrap_or(&event.output);
                self.say_of(event.call, format!("succeeded {output}"));
            }
            WorkflowEvent::TaskFailed(event) => {
                if event.cause.as_ref().is_some_and(|cause| cause.starts_with("outcome unknown")) {
                    self.forget_attempt(event.call);
                } else {
                    self.say_of(event.call, format!("task failed {:?}", event.error));
                }
            }
            WorkflowEvent::TaskTimedOut(event) => self.say_of(event.call, "timed out".to_owned()),
            WorkflowEvent::ParallelStarted(event) => {
                self.say(event.branch, "parallel".to_owned());
                for part in 0..event.start_at.len() {
                    self.begin_in(event.branch, part as u64);
                }
                *self.joins.entry(event.branch).or_default() += 1;
            }
            WorkflowEvent::MapStarted(event) => {
                *self.joins.entry(event.branch).or_default() += 1;
                self.say(event.branch, "map".to_owned());
            }
            WorkflowEvent::IterationStarted(event) => {
                // Iterations belong to the Map that began last.
                let join = self.joins.get(&event.branch).copied().unwrap_or(0).saturating_sub(1);
                let name = format!("{}/{join}m{}", self.names[&event.branch], event.index);
                self.begin(name);
            }
            WorkflowEvent::Joined(event) => self.say(event.branch, "joined".to_owned()),
            WorkflowEvent::Broken(event) => self.say(event.branch, "broken".to_owned()),
            WorkflowEvent::Ended(event) => self.say(0, format!("ended {:?} {:?}", event.outcome, event.error)),
            WorkflowEvent::Redriven(_) => self.say(0, "redriven".to_owned()),
            // What ends a branch from outside is no step of it; and the answer to a callback may come before its receipt.
            WorkflowEvent::Aborted(_) | WorkflowEvent::IterationSucceeded(_) | WorkflowEvent::IterationFailed(_) => {}
            _ => {}
        }
    }

    fn begin_in(&mut self, branch: BranchId, part: u64) {
        let join = self.joins.get(&branch).copied().unwrap_or(0);
        let name = format!("{}/{join}p{part}", self.names[&branch]);
        self.begin(name);
    }

    fn begin(&mut self, name: String) {
        self.lines.entry(name.clone()).or_default();
        self.names.insert(self.next, name);
        self.next += 1;
    }

    fn line(&mut self, branch: BranchId) -> &mut Line {
        self.lines.entry(self.names[&branch].clone()).or_default()
    }

    fn say(&mut self, branch: BranchId, text: String) {
        self.line(branch).events.push(text);
    }

    fn say_of(&mut self, call: CallId, text: String) {
        if let Some(branch) = self.calls.get(&call).copied() {
            self.say(branch, text);
        }
    }

    fn forget_attempt(&mut self, call: CallId) {
        let Some(branch) = self.calls.get(&call).copied() else { return };
        let events = &mut self.line(branch).events;
        while events.pop().is_some_and(|event| !event.starts_with("scheduled")) {}
        self.unknown.insert(branch, true);
    }
}
