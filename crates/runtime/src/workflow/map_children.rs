//! The child executions of a distributed Map: begun lazily, some at once, and reported in batches.

use super::{
    Word,
    api::{ExecutionStatus, ExecutionView, RedriveError, StartExecution, StartExecutionError},
    whole::{BLOCK, BlockEnd, Waiting},
    words::StartTicket,
};
use crate::{
    actor::{Actor, Loaded},
    api::RunError,
    driven::Boot,
    perform::{InFlight, Work},
    runtime::{Asked, Runtime},
    shared::RunKey,
};
use bedplate_core::{
    id::{CallId, ContentHash, RunId, Tenant, UserId},
    port::workflows::PinnedWorkflow,
    time::Timestamp,
    workflow_event::{BranchId, ChildEnded, ExecutionOutcome, MapRunChanged},
};
use bedplate_engine::{
    machine::Context,
    workflow::{ChildrenPlan, Workflow, children_plan},
};
use serde_json::Value;
use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context as TaskContext, Poll},
};
use tokio::{sync::oneshot, task::JoinSet};

/// How many child executions of a Map are begun and not ended at once at most, whatever the Map allows.
const AT_ONCE: usize = 256;

/// How many blocks are under way at once at most: while one is written the next is computed.
const BLOCKS: usize = 4;

/// From how many ends on they are reported.
const MAX_REPORT: usize = 512;

pub(super) type Given = Result<Arc<Value>, (Arc<str>, Arc<str>)>;

/// The child executions of a Map that are to be run.
pub(crate) struct MapChildren {
    common: Arc<Common>,
    waiting: VecDeque<(u64, Given)>,
    /// Those of them that are run in blocks no more: they are run each alone.
    alone: VecDeque<Waiting>,
    /// Blocks of children that are tried to be run by the machine alone.
    blocks: JoinSet<BlockEnd>,
    /// Whether blocks are tried: not any more after one of which nothing came.
    in_blocks: bool,
    /// How many are begun and not ended at once at most: a redrive gives more than that at a time.
    at_once: usize,
    running: JoinSet<ChildEnd>,
    known: Vec<RunId>,
}

/// What all children have in common.
pub(super) struct Common {
    pub runtime: Runtime,
    pub tenant: Tenant,
    pub user: UserId,
    pub names: ChildNames,
    workflow: PinnedWorkflow,
    /// Whether their outputs are written elsewhere, and not reported.
    pub writes: bool,
    /// How often the map run was redriven, and when last.
    redriven: Option<(u64, Timestamp)>,
}

/// How the children of a map run are named: by their items, so that each is known without being kept.
#[derive(Clone)]
pub(super) struct ChildNames {
    pub parent: RunId,
    pub call: CallId,
    pub map_run: Arc<str>,
}

struct ChildEnd {
    run: RunId,
    ended: ChildEnded,
}

impl MapChildren {
    /// Returns whether none is left.
    pub(crate) fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.alone.is_empty() && self.blocks.is_empty() && self.running.is_empty()
    }

    /// Begins what may begin, and returns what ended.
    pub(crate) fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<Vec<ChildEnded>> {
        let mut ended = Vec::new();
        loop {
            self.begin();
            if let Poll::Ready(Some(end)) = self.blocks.poll_join_next(cx) {
                if let Ok(BlockEnd { ended: whole, left, hopeless }) = end {
                    self.in_blocks &= !hopeless;
                    ended.extend(whole);
                    self.alone.extend(left);
                }
            } else {
                match self.running.poll_join_next(cx) {
                    Poll::Ready(Some(Ok(end))) => {
                        if let Some(at) = self.known.iter().position(|run| *run == end.run) {
                            self.known.swap_remove(at);
                        }
                        ended.push(end.ended);
                    }
                    // It was cancelled with its runtime: nothing is known of it.
                    Poll::Ready(Some(Err(_))) => {}
                    Poll::Ready(None) | Poll::Pending => break,
                }
            }
            if ended.len() >= MAX_REPORT {
                break;
            }
        }
        if ended.is_empty() { Poll::Pending } else { Poll::Ready(ended) }
    }

    /// Begins as many as may be under way at once. A block runs its children one after the other, so it counts as one.
    fn begin(&mut self) {
        while self.running.len() + self.blocks.len() < self.at_once {
            if let Some(child) = self.alone.pop_front() {
                self.known.push(child.run);
                self.running.spawn(Arc::clone(&self.common).run_one(child));
            } else if self.waiting.is_empty() || (self.in_blocks && self.blocks.len() >= BLOCKS) {
                break;
            } else {
                let common = Arc::clone(&self.common);
                if self.in_blocks {
                    let count = BLOCK.min(self.waiting.len());
                    self.blocks.spawn(common.run_block(self.waiting.drain(..count).collect()));
                } else if let Some(child) = self.waiting.pop_front() {
                    self.alone.push_back(common.waiting(child));
                }
            }
        }
    }

    /// Stops those under way: what they lie in is over.
    pub(super) async fn stop(mut self) {
        self.running.abort_all();
        // A block comes to its end by itself, and soon: what it commits is over then.
        while self.blocks.join_next().await.is_some() {}
        for run in self.known {
            if let Err(error) = self.common.runtime.stop_execution(&self.common.tenant, run, None, None).await {
                tracing::debug!(%run, %error, "a child execution was not stopped");
            }
        }
    }
}

impl ChildNames {
    /// Returns the ARN of the child of an item: the map run's, with another UUID at its end.
    pub(super) fn arn(&self, index: u64) -> Arc<str> {
        self.arn_of(&self.name(index))
    }

    /// Returns the ARN of the child of a name.
    pub(super) fn arn_of(&self, name: &str) -> Arc<str> {
        let of = self.map_run.rsplit_once(':').map_or(&*self.map_run, |(of, _)| of);
        format!("{}:{name}", of.replacen(":mapRun:", ":execution:", 1)).into()
    }

    /// Returns the name of the child of an item.
    pub(super) fn name(&self, index: u64) -> Arc<str> {
        let parts: [&[u8]; 4] = [b"map child", &self.parent.0, &self.call.to_be_bytes(), &index.to_be_bytes()];
        let id = RunId::derive(&parts).to_string();
        format!("{}-{}-{}-{}-{}", &id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]).into()
    }
}

impl Common {
    async fn run_one(self: Arc<Self>, child: Waiting) -> ChildEnd {
        let Waiting { index, run, .. } = child;
        let failed = |error: Arc<str>, cause: Arc<str>| ChildEnded {
            index,
            outcome: ExecutionOutcome::Failed,
            output: None,
            error: Some(error),
            cause: Some(cause),
        };
        let ended = match child.given.clone() {
            Err((error, cause)) => failed(error, cause),
            Ok(input) => match self.run_to_its_end(self.request(&child, input)).await {
                Ok(view) if self.writes => ChildEnded { output: None, ..child_ended(index, view) },
                Ok(view) => child_ended(index, view),
                // It did not fail: the next process takes it up, with the Map that is dropped here.
                Err(StartExecutionError::ShuttingDown) => std::future::pending().await,
                Err(error) => failed("States.Runtime".into(), error.to_string().into()),
            },
        };
        ChildEnd { run, ended }
    }

    fn request(&self, child: &Waiting, input: Arc<Value>) -> StartExecution {
        StartExecution {
            tenant: self.tenant.clone(),
            user: self.user.clone(),
            execution: Arc::clone(&child.execution),
            name: Arc::clone(&child.name),
            workflow: self.workflow.clone(),
            input,
            trace_header: None,
        }
    }

    /// Returns what all children are begun with, but for their names, inputs and times.
    pub(super) async fn ticket(&self, child: &Waiting) -> Result<StartTicket, StartExecutionError> {
        let request = self.request(child, Arc::new(Value::Null));
        let map_run = Some(Arc::clone(&self.names.map_run));
        self.runtime.execution_ticket(request, Some(self.names.parent), map_run).await
    }

    /// Runs a child; one that had begun before its map run was redriven, and ended badly, goes on where it failed.
    ///
    /// One that begins after the redrive may fail as any does: going on would do its work a second time. Its end tells
    /// nothing, because those of before are stopped while the redrive is already under way.
    async fn run_to_its_end(&self, request: StartExecution) -> Result<ExecutionView, StartExecutionError> {
        let run = RunId::execution(&request.tenant, &request.execution);
        let (view, joined) =
            self.runtime.run_child(request, self.names.parent, Arc::clone(&self.names.map_run)).await?;
        let Some((redrives, redriven_at)) = self.redriven else { return Ok(view) };
        if view.status == ExecutionStatus::Succeeded || !joined || view.started_at > redriven_at {
            return Ok(view);
        }
        // The key tells a redrive of before a crash from one that is still to be made.
        let key = format!("{}-{redrives}", self.names.call);
        match self.runtime.redrive_execution(&self.tenant, run, Some(key)).await {
            Ok(_) => self.runtime.wait_execution(&self.tenant, run).await.map_err(|error| unreachable_child(&error)),
            Err(RedriveError::NotRedrivable(_)) => Ok(view),
            Err(RedriveError::Run(RunError::ShuttingDown)) => Err(StartExecutionError::ShuttingDown),
            Err(error) => Err(StartExecutionError::Store(error.to_string())),
        }
    }
}

/// Returns how many children are under way at once at most, for the `MaxConcurrency` of a Map; 0: no limit.
fn at_once(concurrency: u64) -> usize {
    match usize::try_from(concurrency) {
        Ok(0) | Err(_) => AT_ONCE,
        Ok(most) => most.min(AT_ONCE),
    }
}

fn unreachable_child(error: &RunError) -> StartExecutionError {
    match error {
        RunError::ShuttingDown => StartExecutionError::ShuttingDown,
        error => StartExecutionError::Store(error.to_string()),
    }
}

fn child_ended(index: u64, view: ExecutionView) -> ChildEnded {
    let outcome = match view.status {
        ExecutionStatus::Succeeded => ExecutionOutcome::Succeeded,
        ExecutionStatus::Running | ExecutionStatus::Failed => ExecutionOutcome::Failed,
        ExecutionStatus::TimedOut => ExecutionOutcome::TimedOut,
        ExecutionStatus::Aborted => ExecutionOutcome::Aborted,
    };
    ChildEnded { index, outcome, output: view.output, error: view.error, cause: view.cause }
}

impl Runtime {
    /// Runs a child execution to its end, and returns whether it had begun before and was joined.
    async fn run_child(
        &self,
        request: StartExecution,
        parent: RunId,
        map_run: Arc<str>,
    ) -> Result<(ExecutionView, bool), StartExecutionError> {
        let (tenant, run) = (request.tenant.clone(), RunId::execution(&request.tenant, &request.execution));
        let key = RunKey { tenant: tenant.clone(), run };
        let ticket = self.execution_ticket(request, Some(parent), Some(map_run)).await?;
        let (waiter, end) = oneshot::channel();
        let waiter = std::sync::Mutex::new(Some(waiter));
        let start = |reply| {
            let waiter = waiter.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            Word::Start(Box::new(ticket.clone()), reply, waiter)
        };
        let joined = match self.ask::<Workflow, _>(&key, Boot::Create, start).await {
            Asked::Answer(result) => result?.joined,
            Asked::Stopping => return Err(StartExecutionError::ShuttingDown),
            Asked::OtherKind | Asked::NoAnswer => {
                return Err(StartExecutionError::Store("the child execution cannot be reached".to_owned()));
            }
        };
        let view = match end.await {
            Ok(Ok(view)) => view,
            // It left memory meanwhile: wait for it as anybody does.
            _ => self.wait_execution(&tenant, run).await.map_err(|error| unreachable_child(&error))?,
        };
        Ok((view, joined))
    }
}

/// Keeps to another `MaxConcurrency` with the children that wait already, as after a redrive.
pub(super) fn limit_children(loaded: &mut Loaded<Workflow>, change: &MapRunChanged) {
    let Some(concurrency) = change.concurrency else { return };
    for under_way in &mut loaded.in_flight {
        if let Work::Children(children) = &mut under_way.work
            && children.common.names.map_run == change.run
        {
            children.at_once = at_once(concurrency);
        }
    }
}

impl Actor<Workflow> {
    /// Begins child executions, or adds them to those that are run already.
    pub(super) fn begin_children(
        &self,
        loaded: &mut Loaded<Workflow>,
        (call, branch, indexes): (CallId, BranchId, &[u64]),
        now: Timestamp,
    ) -> Option<InFlight> {
        let context = Context {
            run: self.key.run,
            workflow: loaded.local.definition.clone(),
            ..Context::at(now, self.shared.options.entropy.bytes())
        };
        let ChildrenPlan { run, definition, inputs, writes, concurrency, redriven } =
            children_plan(&loaded.state, &context, branch, indexes)?;
        let under_way = loaded.in_flight.iter_mut().find(|under_way| under_way.call == call);
        if let Some(InFlight { work: Work::Children(children), .. }) = under_way {
            children.waiting.extend(inputs);
            children.at_once = at_once(concurrency);
            return None;
        }
        let (started, _) = loaded.state.started()?;
        let label = run.rsplit_once('/').and_then(|(_, rest)| rest.split(':').next()).unwrap_or_default();
        let workflow = PinnedWorkflow {
            arn: format!("{}/{label}", started.machine).into(),
            name: format!("{}/{label}", started.machine_name).into(),
            qualified: None,
            version: None,
            role: Arc::clone(&started.role),
            express: false,
            hash: ContentHash::of(definition.as_bytes()),
            text: definition,
        };
        let common = Arc::new(Common {
            runtime: Runtime::of(&self.shared),
            tenant: self.key.tenant.clone(),
            user: loaded.user.clone(),
            names: ChildNames { parent: self.key.run, call, map_run: run },
            workflow,
            writes,
            redriven,
        });
        let children = MapChildren {
            common,
            waiting: inputs.into(),
            alone: VecDeque::new(),
            blocks: JoinSet::new(),
            in_blocks: true,
            at_once: at_once(concurrency),
            running: JoinSet::new(),
            known: Vec::new(),
        };
        let work = Work::Children(Box::new(children));
        Some(InFlight { call, deadline: super::tasks::NEVER, begun: now, work })
    }
}
