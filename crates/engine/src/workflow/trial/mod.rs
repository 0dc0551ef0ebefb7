//! One state on its own, as `TestState` runs it: with a given input, variables and context, and perhaps a mock.
//!
//! Pure like the machine itself: a Task without a mock comes back as a [`Pending`] call, and whoever performs it says
//! what it gave.

mod extract;
mod inspect;
mod replies;

pub use extract::ExtractError;
pub use inspect::{ErrorDetails, Inspection};
pub use replies::{Strictness, WrongReply};

use super::{
    definition::{Body, Definition, Diagnostic, Integration, Language, Severity, State},
    flow,
    plan::Plan,
    query::{Entropy, Env, Lazy, Problem},
    recover,
    state::{Failure, Phase, WorkflowState},
    states,
    step::Step,
};
use crate::machine::{Context, Intent};
use bedplate_core::{
    event::Event,
    id::ContentHash,
    time::Timestamp,
    workflow_event::{ExecutionOutcome, ExecutionStarted, StateEntered, StateKind, Variables, WorkflowEvent},
};
use serde_json::Value;
use std::sync::Arc;

/// What the state is called in the context object and in diagnostics, as the service calls it.
pub const STATE_NAME: &str = "StateName";

/// What is tested.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// The text of a state, or of a whole definition.
    pub definition: &'a str,
    /// Which state of a whole definition.
    pub state: Option<&'a str>,
    /// The state's input.
    pub input: Arc<Value>,
    /// The variables that it sees.
    pub variables: Variables,
    /// The context object; none: one that is made up.
    pub context: Option<Arc<Value>>,
    /// What stands for the state's work.
    pub mock: Option<Mock>,
    /// How the service's model is applied to the mock.
    pub strictness: Strictness,
    /// What has happened before.
    pub configuration: Configuration,
    /// How the execution is called.
    pub names: Names,
    /// The present time.
    pub now: Timestamp,
    /// Fresh unpredictable bytes.
    pub entropy: [u8; 16],
}

/// How the execution of a trial is called.
#[derive(Clone, Debug)]
pub struct Names {
    /// The execution's ARN.
    pub execution: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// The state machine's ARN.
    pub machine: Arc<str>,
    /// Its name.
    pub machine_name: Arc<str>,
    /// The role; empty: none.
    pub role: Arc<str>,
}

/// What stands for a state's work.
#[derive(Clone, Debug, PartialEq)]
pub enum Mock {
    /// It gives this.
    Result(Arc<Value>),
    /// It fails.
    Error {
        /// The error's name.
        error: Option<Arc<str>>,
        /// What went wrong.
        cause: Option<Arc<str>>,
    },
}

/// What has happened before the state is tested.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Configuration {
    /// How often the retrier that decides has tried.
    pub retries: Option<u32>,
    /// The state within the tested one that the mocked error comes from.
    pub error_caused_by: Option<String>,
    /// How many iterations of a Map failed.
    pub failed_iterations: Option<u64>,
    /// What a Map's reader reads.
    pub reader_data: Option<Arc<Value>>,
}

/// How a trial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The state is done.
    Succeeded,
    /// It failed, and nothing catches that.
    Failed,
    /// It failed, and is tried again.
    Retriable,
    /// It failed, and a catcher goes on.
    CaughtError,
}

/// What a trial gave.
#[derive(Clone, Debug)]
pub struct Answer {
    /// How it ended.
    pub status: Status,
    /// The state's output, or that of its catcher.
    pub output: Option<Arc<Value>>,
    /// The error's name.
    pub error: Option<Arc<str>>,
    /// What went wrong.
    pub cause: Option<Arc<str>>,
    /// The next state.
    pub next: Option<Arc<str>>,
    /// What was seen on the way.
    pub inspection: Inspection,
}

/// Why a state is not tested.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrialError {
    /// The definition has errors.
    #[error("the definition is not valid")]
    Definition(Vec<Diagnostic>),
    /// The definition does not say which state.
    #[error(transparent)]
    Extract(#[from] ExtractError),
    /// A state of this kind needs a mock.
    #[error(
        "TestState API does not support Map or Parallel states. Supported state types include: [Task, Wait, Pass, Succeed, Fail, Choice]"
    )]
    NeedsMock,
    /// A task that waits needs a mock.
    #[error(
        "TestState API does not support activities, .sync or .waitForTaskToken tasks when a mock is not specified."
    )]
    TaskNeedsMock,
    /// A state of this kind does no work that a mock could stand for.
    #[error("A mock can only be specified for Task, Map and Parallel states")]
    NoWorkToMock,
    /// A count of failures goes with a mock only.
    #[error("TestState does not support MapIterationFailureCount when a mock is not specified.")]
    FailuresWithoutMock,
    /// More iterations failed than there are.
    #[error("Map iteration failure count must be less than or equal to the number of Map iterations")]
    TooManyFailures,
    /// The mock of a Map or Parallel is a list.
    #[error("Mocked result must be an array.")]
    MockIsNoArray,
    /// The mock is not what the service answers.
    #[error("Mock result schema validation error: {0}")]
    Reply(#[from] WrongReply),
}

/// A trial that is answered, or that needs a call first.
#[derive(Debug)]
pub enum Begun {
    /// It is answered.
    Done(Box<Answer>),
    /// Its task is to be performed.
    Call(Box<Pending>),
}

/// A trial whose task is to be performed.
#[derive(Debug)]
pub struct Pending {
    trial: Trial,
    /// The resource's ARN.
    pub resource: Arc<str>,
    /// What it is given.
    pub input: Arc<Value>,
    /// The task's token.
    pub token: Arc<str>,
    /// When nobody waits any longer.
    pub deadline: Option<Timestamp>,
}

impl Pending {
    /// Returns what the state makes of what its task gave.
    #[must_use]
    pub fn finish(mut self, given: Mock) -> Answer {
        self.trial.given(given)
    }
}

/// Begins a trial.
///
/// # Errors
/// [`TrialError`].
pub fn begin(wanted: Wanted<'_>) -> Result<Begun, TrialError> {
    let text = extract::wrapped(wanted.definition, wanted.state)?;
    let (definition, mut diagnostics) = Definition::read(&text);
    // The states that this one leads to are not there.
    diagnostics.retain(|one| one.severity == Severity::Error && !extract::is_of_neighbours(one));
    let definition = match definition {
        Some(definition) if diagnostics.is_empty() => definition,
        _ => return Err(TrialError::Definition(diagnostics)),
    };
    let mut trial = Trial::new(definition, &wanted);
    trial.check(&wanted)?;
    match trial.begin() {
        Err(problem) => Ok(Begun::Done(Box::new(trial.failed_by_itself(problem)))),
        Ok(Next::Over) => Ok(Begun::Done(Box::new(trial.answer()))),
        Ok(Next::Work { call }) => match wanted.mock {
            Some(mock) => Ok(Begun::Done(Box::new(trial.mocked(mock, &wanted.configuration)?))),
            None => match call {
                Some(call) => Ok(Begun::Call(Box::new(call.of(trial)))),
                None => Err(TrialError::NeedsMock),
            },
        },
    }
}

/// What a state is about after its beginning.
enum Next {
    /// It is left, or has failed.
    Over,
    /// Its work is to be done; a task's as this call.
    Work { call: Option<Call> },
}

struct Call {
    resource: Arc<str>,
    input: Arc<Value>,
    token: Arc<str>,
    deadline: Option<Timestamp>,
}

impl Call {
    fn of(self, trial: Trial) -> Pending {
        let Self { resource, input, token, deadline } = self;
        Pending { trial, resource, input, token, deadline }
    }
}

#[derive(Debug)]
struct Trial {
    definition: Definition,
    plan: Plan,
    context: Option<Arc<Value>>,
    reader_data: Option<Arc<Value>>,
    inspection: Inspection,
}

impl Trial {
    fn new(definition: Definition, wanted: &Wanted<'_>) -> Self {
        let kind = state_of(&definition).map_or(StateKind::Pass, State::kind);
        let context = Context::at(wanted.now, wanted.entropy);
        let mut plan = Plan::new(&WorkflowState::default(), &context);
        let Names { execution, name, machine, machine_name, role } = wanted.names.clone();
        plan.emit(WorkflowEvent::Started(ExecutionStarted {
            execution,
            name,
            machine,
            machine_name,
            role,
            definition: ContentHash::of(wanted.definition.as_bytes()),
            input: Arc::clone(&wanted.input),
            start_at: STATE_NAME.into(),
            deadline: None,
            express: false,
            qualified: None,
            version: None,
            map_run: None,
            trace: None,
            answers: None,
        }));
        plan.emit(WorkflowEvent::Entered(StateEntered { branch: 0, state: STATE_NAME.into(), kind }));
        let tried = wanted.configuration.retries.unwrap_or(0);
        let retriers = state_of(&definition).and_then(State::recovery).map_or(0, |recovery| recovery.retriers.len());
        if let Some(branch) = plan.work.branches.get_mut(&0) {
            let branch = Arc::make_mut(branch);
            branch.variables = Arc::new(wanted.variables.clone());
            branch.retries = vec![tried; retriers];
        }
        let inspection = Inspection::of(&wanted.input, &wanted.variables);
        let reader_data = wanted.configuration.reader_data.clone();
        Self { definition, plan, context: wanted.context.clone(), reader_data, inspection }
    }

    /// Refuses what cannot be tested so.
    fn check(&self, wanted: &Wanted<'_>) -> Result<(), TrialError> {
        let Some(state) = state_of(&self.definition) else { return Ok(()) };
        let mock = wanted.mock.as_ref();
        if mock.is_none() && wanted.configuration.failed_iterations.is_some() {
            return Err(TrialError::FailuresWithoutMock);
        }
        match &state.body {
            Body::Map(_) | Body::Parallel(_) => match mock {
                None => Err(TrialError::NeedsMock),
                Some(Mock::Result(result)) if !result.is_array() => Err(TrialError::MockIsNoArray),
                Some(_) => Ok(()),
            },
            Body::Task(task) => match (&task.resource.integration, mock) {
                (Integration::Service { service, action }, Some(Mock::Result(result))) => {
                    Ok(replies::check(service, action, result, wanted.strictness)?)
                }
                (_, Some(_)) => Ok(()),
                (Integration::Activity, None) => Err(TrialError::TaskNeedsMock),
                (_, None) if task.resource.waits_for_token() || task.resource.waits_for_job() => {
                    Err(TrialError::TaskNeedsMock)
                }
                (_, None) => Ok(()),
            },
            _ if mock.is_some() => Err(TrialError::NoWorkToMock),
            _ => Ok(()),
        }
    }

    /// Does `work` with what the state's expressions see.
    fn run<T>(
        &mut self,
        work: impl FnOnce(&Step<'_>, &Env<'_>, &mut Plan, &mut Inspection) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let Some(step) = Step::new(&self.plan, &self.definition, 0) else {
            return Err(Problem::runtime("the state is missing"));
        };
        let entropy = Entropy::new(self.plan.entropy());
        let mut context = Lazy::new(step.facts(), &entropy);
        if let Body::Task(task) = &step.state.body
            && task.resource.waits_for_token()
        {
            context = context.with_token(self.plan.token());
        }
        if let Some(given) = &self.context {
            context = context.given(Arc::clone(given));
        }
        let env = Env {
            input: &step.branch.value,
            variables: &step.branch.variables,
            context: &context,
            result: None,
            error_output: None,
        };
        work(&step, &env, &mut self.plan, &mut self.inspection)
    }

    fn begin(&mut self) -> Result<Next, Problem> {
        let reader_data = self.reader_data.clone();
        self.run(|step, env, plan, inspection| {
            inspection.before(step, env)?;
            match &step.state.body {
                Body::Map(map) => {
                    inspection.map(step, env, map, reader_data.as_deref())?;
                    Ok(Next::Work { call: None })
                }
                Body::Parallel(parallel) => {
                    flow::arguments(step, env, parallel.arguments.as_ref())?;
                    Ok(Next::Work { call: None })
                }
                Body::Task(_) => {
                    states::begin(step, env, plan)?;
                    Ok(Next::Work { call: plan.intents().iter().find_map(call) })
                }
                Body::Wait(_) => {
                    // Whether the wait can be told is tested; nobody waits for it.
                    states::begin(step, env, plan)?;
                    if matches!(plan.work.branches.get(&0).map(|branch| &branch.phase), Some(Phase::Wait(_))) {
                        states::wait::end(step, env, plan)?;
                    }
                    Ok(Next::Over)
                }
                Body::Pass(_) | Body::Choice(_) | Body::Succeed | Body::Fail(_) => {
                    states::begin(step, env, plan)?;
                    Ok(Next::Over)
                }
            }
        })
    }

    /// Returns what the state makes of its mock.
    fn mocked(&mut self, mock: Mock, configuration: &Configuration) -> Result<Answer, TrialError> {
        let failed = configuration.failed_iterations.unwrap_or(0);
        if let (Some(items), Mock::Result(_)) = (self.inspection.items(), &mock) {
            if failed > items {
                return Err(TrialError::TooManyFailures);
            }
            if self.inspection.is_exceeded(failed) {
                let cause = "The specified tolerated failure threshold was exceeded".into();
                let error = Some("States.ExceedToleratedFailureThreshold".into());
                return Ok(self.given(Mock::Error { error, cause: Some(cause) }));
            }
        }
        Ok(self.given(mock))
    }

    /// Returns what the state makes of what its work gave.
    fn given(&mut self, given: Mock) -> Answer {
        match given {
            Mock::Result(result) => {
                let finished = self.run(|step, env, plan, inspection| {
                    inspection.after(step, env, &result)?;
                    states::finish(step, env, plan, &result)
                });
                match finished {
                    Ok(()) => self.answer(),
                    Err(problem) => self.failed_by_itself(problem),
                }
            }
            Mock::Error { error, cause } => self.recovered(Failure { error, cause, announced: false }),
        }
    }

    fn failed_by_itself(&mut self, problem: Problem) -> Answer {
        let (error, cause) = (Some(problem.error.into()), Some(problem.message.into()));
        self.recovered(Failure { error, cause, announced: false })
    }

    /// Returns what a failure leads to: another attempt, a catcher, or the end.
    fn recovered(&mut self, failure: Failure) -> Answer {
        let failure = Arc::new(failure);
        // Once for the retriers, and once more after a Map or Parallel has told that it failed.
        for announced in [false, true] {
            let failure = Failure { announced, ..Failure::clone(&failure) };
            if let Some(branch) = self.plan.work.branches.get_mut(&0) {
                Arc::make_mut(branch).phase = Phase::Failed(Arc::new(failure.clone()));
            }
            recover::recover(&mut self.plan, &self.definition, 0, &failure);
            if !matches!(self.plan.events().last(), Some(Event::Workflow(WorkflowEvent::Broken(_)))) {
                break;
            }
        }
        let mut answer = self.answer();
        if answer.status == Status::Succeeded {
            answer.status = Status::CaughtError;
        }
        if let (Some(state), Status::CaughtError | Status::Retriable) = (state_of(&self.definition), answer.status) {
            answer.inspection.errors = ErrorDetails::of(state, failure.error.as_deref(), &self.plan, answer.status);
        }
        if answer.error.is_none() && answer.cause.is_none() {
            answer.error.clone_from(&failure.error);
            answer.cause.clone_from(&failure.cause);
        }
        answer
    }

    /// Returns what the last decision says.
    fn answer(&mut self) -> Answer {
        let mut answer = Answer {
            status: Status::Failed,
            output: None,
            error: None,
            cause: None,
            next: None,
            inspection: self.inspection.clone(),
        };
        let Some(Event::Workflow(last)) = self.plan.events().last() else { return answer };
        match last {
            WorkflowEvent::Exited(exited) => {
                answer.status = Status::Succeeded;
                answer.next.clone_from(&exited.next);
                let branch = self.plan.work.branches.get(&0);
                answer.output = branch.map(|branch| Arc::clone(&branch.value));
                if let Some(branch) = branch {
                    answer.inspection.variables = Variables::clone(&branch.variables);
                }
            }
            WorkflowEvent::Retried(_) => answer.status = Status::Retriable,
            WorkflowEvent::Failed(failed) => {
                answer.error.clone_from(&failed.error);
                answer.cause.clone_from(&failed.cause);
            }
            WorkflowEvent::Ended(ended) if ended.outcome == ExecutionOutcome::Failed => {
                answer.error.clone_from(&ended.error);
                answer.cause.clone_from(&ended.cause);
            }
            _ => {}
        }
        answer
    }
}

fn state_of(definition: &Definition) -> Option<&State> {
    definition.machine.states.get(STATE_NAME)
}

fn call(intent: &Intent) -> Option<Call> {
    match intent {
        Intent::RunTask { resource, input, token, deadline, .. } => Some(Call {
            resource: Arc::clone(resource),
            input: Arc::clone(input),
            token: Arc::clone(token),
            deadline: *deadline,
        }),
        _ => None,
    }
}

/// Returns whether a state's expressions are paths.
fn is_json_path(state: &State) -> bool {
    state.language == Language::JsonPath
}
