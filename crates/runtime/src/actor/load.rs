//! Bringing a run into memory: create it, or claim and fold it.

use super::{Actor, Boot, Command, Leave, Loaded, Woken};
use crate::{api::RunError, history::fold, stats::add};
use bedplate_core::{
    event::RunKind,
    id::Seq,
    port::journal::{Head, RunRef, RunStatus},
    time::Timestamp,
};
use bedplate_engine::{agent::AgentState, machine::Input};

impl Actor {
    /// Returns the run and what it does first.
    pub(super) async fn open(&mut self, boot: Boot) -> Result<(Loaded, Woken), Leave> {
        match boot {
            Boot::Create => match self.inbox.recv().await {
                Some(Command::Start(ticket, reply)) => {
                    let loaded = Loaded {
                        run: RunRef { id: self.key.run, key: 0 },
                        exists: false,
                        user: ticket.user.clone(),
                        kind: RunKind::Agent,
                        name: ticket.agent.clone(),
                        session: ticket.session.clone(),
                        ..self.blank()
                    };
                    Ok((loaded, Woken { commands: vec![Command::Start(ticket, reply)], ..Woken::default() }))
                }
                // Somebody else's word came first, and only a start creates: everybody asks again.
                Some(_) | None => Err(Leave::Quiet),
            },
            Boot::Load => {
                let until = self.shared.now().after(self.shared.options.lease);
                let claims = self.shared.claims.lock().await;
                let claimed = self.shared.options.journal.claim(&self.key.tenant, self.key.run, until).await;
                drop(claims);
                match claimed {
                    Ok(Some(head)) => self.fold(head).await,
                    Ok(None) => Err(self.refuse_all(&RunError::NotFound)),
                    Err(error) => Err(self.refuse_all(&error.into())),
                }
            }
            Boot::Claimed(head) => self.fold(*head).await,
        }
    }

    async fn fold(&mut self, head: Head) -> Result<(Loaded, Woken), Leave> {
        let (state, snapshot) = match fold(&*self.shared.options.journal, head.run, head.seq).await {
            Ok(folded) => folded,
            Err(error) => {
                tracing::error!(run = %self.key.run, %error, "failed to load a run");
                return Err(self.refuse_all(&error));
            }
        };
        if head.status == RunStatus::Running {
            add(&self.shared.counters.recovered, 1);
        }
        let loaded = Loaded {
            run: head.run,
            exists: true,
            user: head.user,
            kind: head.kind,
            name: head.name,
            session: head.session,
            seq: head.seq,
            epoch: head.epoch,
            wake_at: head.wake_at,
            state,
            snapshot,
            ..self.blank()
        };
        Ok((loaded, Woken { inputs: vec![Input::Recovered], signals: true, ..Woken::default() }))
    }

    fn blank(&self) -> Loaded {
        let none: Seq = 0;
        Loaded {
            run: RunRef { id: self.key.run, key: 0 },
            exists: false,
            user: "".into(),
            kind: RunKind::Agent,
            name: String::new(),
            session: String::new(),
            seq: none,
            epoch: 0,
            wake_at: None,
            state: AgentState::default(),
            definition: None,
            in_flight: Vec::new(),
            arrived: Vec::new(),
            waiters: Vec::new(),
            timer: None,
            touched: self.shared.now(),
            snapshot: none,
            hold_off: Timestamp::default(),
        }
    }

    /// Tells everybody who waits already that the run cannot be had. Those who come later bring it in anew.
    fn refuse_all(&mut self, error: &RunError) -> Leave {
        self.shared.release_actor(&self.key, self.serial, || false);
        self.inbox.close();
        while let Ok(command) = self.inbox.try_recv() {
            command.refuse(error);
        }
        Leave::Quiet
    }
}

impl Command {
    /// Answers that the run cannot be had.
    fn refuse(self, error: &RunError) {
        match self {
            Self::Start(_, reply) => drop(reply.send(Err(super::admit::start_error(error)))),
            Self::Wait { reply, .. } => drop(reply.send(Err(error.clone()))),
            Self::Answer(_, reply) => drop(reply.send(Err(error.clone().into()))),
            Self::Cancel { reply, .. } => drop(reply.send(Err(error.clone()))),
            Self::Claimed(_) | Self::Leave { .. } | Self::LeaveIfOf { .. } => {}
        }
    }
}
