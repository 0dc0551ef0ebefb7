//! Bringing a run into memory: create it, or claim and fold it.

use super::{Actor, Command, Leave, Loaded, Woken};
use crate::{
    api::RunError,
    driven::{Birth, Boot, Driven},
    history::fold,
    stats::add,
};
use bedplate_core::{
    port::journal::{Head, RunRef, RunStatus},
    time::Timestamp,
};
use bedplate_engine::machine::Input;

impl<M: Driven> Actor<M> {
    /// Returns the run and what it does first.
    pub(super) async fn open(&mut self, boot: Boot) -> Result<(Loaded<M>, Woken<M>), Leave> {
        match boot {
            Boot::Create => match self.inbox.recv().await {
                Some(Command::Say(word)) => {
                    // Should somebody else's word have come first, everybody asks again: only a start creates.
                    let Birth { user, name, session, parent } = M::birth(&word).ok_or(Leave::Quiet)?;
                    let loaded = Loaded { user, name, session, parent, ..self.blank() };
                    Ok((loaded, Woken { words: vec![Command::Say(word)], ..Woken::default() }))
                }
                // The run exists, and the scheduler was quicker than the word that was to begin it.
                Some(Command::Claimed(head)) => self.fold(*head).await,
                Some(_) | None => Err(Leave::Quiet),
            },
            Boot::Load => {
                let until = self.shared.now().after(self.shared.options.lease);
                let claims = self.shared.claims.lock().await;
                let claimed = self.shared.options.journal.claim(&self.key.tenant, self.key.run, until).await;
                drop(claims);
                match claimed {
                    Ok(Some(head)) if head.kind != M::KIND => {
                        let leave = self.refuse_all(&RunError::NotFound).await;
                        // The claim is handed to whom it belongs.
                        self.shared.hand_over(head).await;
                        Err(leave)
                    }
                    Ok(Some(head)) => self.fold(head).await,
                    Ok(None) => Err(self.refuse_all(&RunError::NotFound).await),
                    Err(error) => Err(self.refuse_all(&error.into()).await),
                }
            }
            Boot::Claimed(head) => self.fold(*head).await,
        }
    }

    async fn fold(&mut self, head: Head) -> Result<(Loaded<M>, Woken<M>), Leave> {
        let (state, snapshot) = match fold::<M>(&*self.shared.options.journal, head.run, head.seq).await {
            Ok(folded) => folded,
            Err(error) => {
                tracing::error!(run = %self.key.run, %error, "failed to load a run");
                return Err(self.refuse_all(&error).await);
            }
        };
        if head.status == RunStatus::Running {
            add(&self.shared.counters.recovered, 1);
        }
        let loaded = Loaded {
            run: head.run,
            exists: true,
            user: head.user,
            name: head.name,
            session: head.session,
            parent: head.parent,
            seq: head.seq,
            epoch: head.epoch,
            wake_at: head.wake_at,
            state,
            snapshot,
            ..self.blank()
        };
        Ok((loaded, Woken { inputs: vec![Input::Recovered], signals: true, ..Woken::default() }))
    }

    fn blank(&self) -> Loaded<M> {
        Loaded {
            run: RunRef { id: self.key.run, key: 0 },
            exists: false,
            user: "".into(),
            name: String::new(),
            session: String::new(),
            parent: None,
            seq: 0,
            epoch: 0,
            wake_at: None,
            state: M::State::default(),
            local: M::Local::default(),
            in_flight: Vec::new(),
            arrived: Vec::new(),
            timer: None,
            touched: self.shared.now(),
            snapshot: 0,
            hold_off: Timestamp::default(),
        }
    }

    /// Tells everybody who waits already that the run cannot be had. Those who come later bring it in anew.
    async fn refuse_all(&mut self, error: &RunError) -> Leave {
        self.shared.release_actor(&self.key, self.serial, || false);
        self.inbox.close();
        while let Some(command) = self.inbox.recv().await {
            if let Command::Say(word) = command {
                M::refuse(word, error);
            }
        }
        Leave::Quiet
    }
}
