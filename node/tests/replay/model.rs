//! What a log should come to, said the slow and obvious way: every revocation walks every session, nothing is indexed, nothing is kept twice.

use curfew_node::command::{COMMAND_ID_LIFE_MS, Command, Expire, Extend, Outcome, Patch, Refusal, Request, Selector, Start, Touch};
use curfew_node::domain::{Cause, CommandId, Ending, Evicted, Expired, LimitMode, LogIndex, Moment, Policy, Revoked, Session, SessionId, Standing};
use curfew_node::state::{EVICTIONS_MAX, FACTORS_MAX, TOMBSTONE_LIFE_MIN_MS};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A session as the model sees it.
#[derive(Clone)]
pub(super) struct Known {
    /// The record; its `ended` stays empty until the ending is written.
    pub(super) record: Session,
    /// How it ended before its time, from the very entry that ended it.
    end: Option<Ending>,
    /// The wide revocation whose reap will write the ending: its index.
    waits_for: Option<LogIndex>,
}

impl Known {
    pub(super) fn standing(&self, now: Moment) -> Standing {
        match (&self.record.ended, &self.end) {
            (Some(ending), _) | (None, Some(ending)) => Standing::Ended(ending.clone()),
            (None, None) => self.record.standing_by_record(now),
        }
    }

    fn ending(&self, index: LogIndex, now: Moment) -> Option<Ending> {
        match self.standing(now) {
            Standing::Active => None,
            Standing::Ended(ending) => Some(ending),
            Standing::PastDeadline(it) => Some(Ending { at: it.at, index, cause: Cause::Expired(Expired { idle: it.idle }) }),
        }
    }

    fn write_ending(&mut self, index: LogIndex, now: Moment) -> bool {
        let unwritten = self.record.ended.is_none();
        if unwritten {
            self.record.ended = self.ending(index, now);
            self.waits_for = None;
        }
        unwritten && self.record.ended.is_some()
    }
}

#[derive(Default)]
pub(super) struct Model {
    policy: Option<Policy>,
    pub(super) now: Moment,
    pub(super) sessions: BTreeMap<LogIndex, Known>,
    /// What commands came to; never forgotten.
    answers: BTreeMap<CommandId, Answer>,
}

enum Answer {
    Whole(Outcome),
    PresentSession(LogIndex),
}

impl Model {
    /// What the outcome should be; `None` where the model does not say.
    pub(super) fn apply(&mut self, index: LogIndex, at: Moment, request: &Request) -> Option<Outcome> {
        self.now = self.now.max(at.plus_ms(0));
        if matches!(request.command, Command::Init(_)) == self.policy.is_some() {
            return Some(Outcome::Refused(Refusal::WrongPhase(())));
        }
        if self.now.ms_since(request.drawn_at) > COMMAND_ID_LIFE_MS {
            return Some(Outcome::Refused(Refusal::CommandTooOld(())));
        }
        match self.answers.get(&request.id) {
            Some(Answer::Whole(outcome)) => return Some(outcome.clone()),
            Some(Answer::PresentSession(rev)) => return Some(Outcome::Session(Arc::new(self.sessions[rev].record.clone()))),
            None => {}
        }
        let outcome = self.decide(index, &request.command);
        self.keep_in_mind(request, outcome.as_ref());
        outcome
    }

    fn keep_in_mind(&mut self, request: &Request, outcome: Option<&Outcome>) {
        let answer = match (&request.command, outcome) {
            (Command::Patch(_) | Command::Extend(_), Some(Outcome::Session(it))) => Answer::PresentSession(it.rev),
            (Command::Revoke(it), Some(outcome)) if matches!(it.selector, Selector::User(_)) || *outcome != Outcome::Count(0) => {
                Answer::Whole(outcome.clone())
            }
            _ => return,
        };
        self.answers.insert(request.id, answer);
    }

    fn decide(&mut self, index: LogIndex, command: &Command) -> Option<Outcome> {
        let count = |count: usize| Some(Outcome::Count(count as u64));
        match command {
            Command::Init(init) => {
                self.policy = Some(init.policy.clone());
                Some(Outcome::Done(()))
            }
            Command::Start(it) => Some(self.start(index, it).unwrap_or_else(Outcome::Refused)),
            Command::Patch(it) => Some(self.patch(index, it).unwrap_or_else(Outcome::Refused)),
            Command::Extend(it) => Some(self.extend(index, it).unwrap_or_else(Outcome::Refused)),
            Command::Touch(it) => count(self.touch(it)),
            Command::Expire(it) => count(self.expire(index, it)),
            Command::Revoke(it) => count(self.revoke(index, &it.selector, &Revoked { by: it.by.clone(), reason: it.reason.clone() })),
            Command::Reap(it) => count(self.reap(index, it.max)),
            Command::Trim(it) => {
                self.trim(it.max);
                None
            }
            Command::RetireNode(_) | Command::ResetRoot(_) => Some(Outcome::Done(())),
        }
    }

    fn policy(&self) -> Policy {
        self.policy.clone().expect("the cluster has formed")
    }

    fn find(&self, id: &SessionId) -> Option<LogIndex> {
        self.sessions.values().find(|it| it.record.id == *id).map(|it| it.record.rev)
    }

    /// The active sessions of a user, oldest first.
    pub(super) fn active_of(&self, user_id: &str) -> Vec<LogIndex> {
        let of_user = self.sessions.values().filter(|it| it.record.user_id == user_id);
        of_user.filter(|it| it.standing(self.now) == Standing::Active).map(|it| it.record.rev).collect()
    }

    fn start(&mut self, index: LogIndex, start: &Start) -> Result<Outcome, Refusal> {
        let policy = self.policy();
        if let Some(rev) = self.find(&start.session_id) {
            let known = &self.sessions[&rev].record;
            let same = (known.token == start.token || known.version > 1) && known.user_id == start.user_id;
            return if same { Ok(Outcome::Session(Arc::new(known.clone()))) } else { Err(Refusal::Taken(())) };
        }
        if self.sessions.values().any(|it| it.record.token == start.token) {
            return Err(Refusal::Taken(()));
        }
        if start.ttl_ms > policy.session_ttl_max_ms {
            return Err(Refusal::AboveCap(policy.session_ttl_max_ms));
        }
        if let (Some(cap), Some(asked)) = (policy.idle_timeout_max_ms, start.idle_timeout_ms)
            && asked > cap
        {
            return Err(Refusal::AboveCap(cap));
        }
        let evicted = self.over_the_limit(&policy, &start.user_id)?;
        self.make_room(&policy)?;
        for rev in evicted {
            let ending = Ending { at: self.now, index, cause: Cause::Evicted(Evicted { by: start.session_id }) };
            let known = self.sessions.get_mut(&rev).expect("it was listed");
            (known.end, known.record.ended) = (Some(ending.clone()), Some(ending));
        }
        let record = Session {
            id: start.session_id,
            rev: index,
            user_id: start.user_id.clone(),
            token: start.token,
            client_id: start.client_id.clone(),
            started_at: self.now,
            last_seen_at: self.now,
            expires_at: self.now.plus_ms(start.ttl_ms),
            idle_timeout_ms: start.idle_timeout_ms.or(policy.idle_timeout_max_ms),
            attributes: start.attributes.clone(),
            claims: start.claims.clone(),
            factors: start.factors.clone(),
            audience: start.audience.clone(),
            version: 1,
            ended: None,
        };
        self.sessions.insert(index, Known { record: record.clone(), end: None, waits_for: None });
        Ok(Outcome::Session(Arc::new(record)))
    }

    fn over_the_limit(&self, policy: &Policy, user_id: &str) -> Result<Vec<LogIndex>, Refusal> {
        let active = self.active_of(user_id);
        match policy.sessions_per_user {
            Some(limit) if active.len() as u64 >= limit.max => match limit.mode {
                LimitMode::Refuse(()) => Err(Refusal::SessionLimit(limit.max)),
                LimitMode::EvictOldest(()) => {
                    let excess = active.len() + 1 - limit.max as usize;
                    Ok(active.into_iter().take(excess.min(EVICTIONS_MAX)).collect())
                }
            },
            _ => Ok(Vec::new()),
        }
    }

    fn make_room(&mut self, policy: &Policy) -> Result<(), Refusal> {
        for _ in 0..2 {
            if self.sessions.len() as u64 >= policy.sessions_max {
                self.forget_oldest_tombstone(TOMBSTONE_LIFE_MIN_MS);
            }
        }
        if (self.sessions.len() as u64) < policy.sessions_max { Ok(()) } else { Err(Refusal::Overloaded("sessions_max".to_owned())) }
    }

    fn forget_oldest_tombstone(&mut self, older_than_ms: u64) {
        let ends = self.sessions.values().filter_map(|it| it.record.ended.as_ref().map(|ending| (ending.at, it.record.rev)));
        if let Some((at, rev)) = ends.min()
            && self.now.ms_since(at) > older_than_ms
        {
            self.sessions.remove(&rev);
        }
    }

    fn active(&self, index: LogIndex, id: &SessionId) -> Result<LogIndex, Refusal> {
        let rev = self.find(id).ok_or(Refusal::SessionNotFound(()))?;
        match self.sessions[&rev].ending(index, self.now) {
            None => Ok(rev),
            Some(ending) => Err(Refusal::SessionEnded(Arc::new(Session { ended: Some(ending), ..self.sessions[&rev].record.clone() }))),
        }
    }

    fn patch(&mut self, index: LogIndex, patch: &Patch) -> Result<Outcome, Refusal> {
        let rev = self.active(index, &patch.session_id)?;
        let taken = patch.token.is_some_and(|token| self.sessions.values().any(|it| it.record.token == token && it.record.rev != rev));
        let record = &mut self.sessions.get_mut(&rev).expect("it is active").record;
        if record.version != patch.expected_version {
            return Err(Refusal::VersionConflict(record.version));
        }
        if patch.add_factor.is_some() && record.factors.len() == FACTORS_MAX {
            return Err(Refusal::AboveCap(FACTORS_MAX as u64));
        }
        if taken {
            return Err(Refusal::Taken(()));
        }
        record.version += 1;
        record.attributes = patch.attributes.clone().unwrap_or(record.attributes.clone());
        record.factors.extend(patch.add_factor.clone());
        record.token = patch.token.unwrap_or(record.token);
        Ok(Outcome::Session(Arc::new(record.clone())))
    }

    fn extend(&mut self, index: LogIndex, extend: &Extend) -> Result<Outcome, Refusal> {
        let rev = self.active(index, &extend.session_id)?;
        let cap = self.policy().session_ttl_max_ms;
        if extend.ttl_ms > cap {
            return Err(Refusal::AboveCap(cap));
        }
        let record = &mut self.sessions.get_mut(&rev).expect("it is active").record;
        record.expires_at = record.expires_at.max(self.now.plus_ms(extend.ttl_ms));
        record.last_seen_at = self.now;
        Ok(Outcome::Session(Arc::new(record.clone())))
    }

    fn touch(&mut self, touch: &Touch) -> usize {
        let mut touched = 0;
        for (rev, seen) in &touch.seen {
            let Some(known) = self.sessions.get_mut(rev) else { continue };
            let seen = (*seen).min(self.now);
            let due = seen >= known.record.last_seen_at.plus_ms(known.record.touch_interval_ms());
            if due && known.standing(self.now) == Standing::Active {
                known.record.last_seen_at = seen;
                touched += 1;
            }
        }
        touched
    }

    fn expire(&mut self, index: LogIndex, expire: &Expire) -> usize {
        let now = self.now;
        let mut expired = 0;
        for (rev, deadline) in &expire.due {
            if let Some(known) = self.sessions.get_mut(rev).filter(|it| it.record.deadline().at == *deadline) {
                expired += usize::from(known.write_ending(index, now));
            }
        }
        expired
    }

    /// Which sessions a revocation would end.
    pub(super) fn revocable(&self, selector: &Selector) -> Vec<LogIndex> {
        let chosen = |it: &&Known| match selector {
            Selector::SessionId(id) => it.record.id == *id,
            Selector::Token(token) => it.record.token == *token,
            Selector::User(user) => it.record.user_id == user.user_id && Some(it.record.id) != user.except_session_id,
        };
        let chosen = self.sessions.values().filter(chosen);
        chosen.filter(|it| it.standing(self.now) == Standing::Active).map(|it| it.record.rev).collect()
    }

    fn revoke(&mut self, index: LogIndex, selector: &Selector, revoked: &Revoked) -> usize {
        let ending = Ending { at: self.now, index, cause: Cause::Revoked(revoked.clone()) };
        let revs = self.revocable(selector);
        for rev in &revs {
            let known = self.sessions.get_mut(rev).expect("it was listed");
            known.end = Some(ending.clone());
            match selector {
                Selector::User(_) => known.waits_for = Some(index),
                _ => known.record.ended = Some(ending.clone()),
            }
        }
        if let Selector::User(user) = selector
            && !revs.is_empty()
        {
            // The reap writes the endings of the expired ones that it meets, too.
            let now = self.now;
            let of_user = self.sessions.values_mut().filter(|it| it.record.user_id == user.user_id && it.record.ended.is_none());
            for known in of_user.filter(|it| it.waits_for.is_none() && it.standing(now) != Standing::Active) {
                known.waits_for = Some(index);
            }
        }
        revs.len()
    }

    fn reap(&mut self, index: LogIndex, max: u64) -> usize {
        let now = self.now;
        let mut waiting: Vec<(LogIndex, LogIndex)> = self.sessions.values().filter_map(|it| Some((it.waits_for?, it.record.rev))).collect();
        waiting.sort_unstable();
        waiting.truncate(max as usize);
        for (_, rev) in &waiting {
            assert!(self.sessions.get_mut(rev).expect("it was listed").write_ending(index, now));
        }
        waiting.len()
    }

    fn trim(&mut self, max: u64) {
        let retention = self.policy().tombstone_retention_ms.max(TOMBSTONE_LIFE_MIN_MS);
        for _ in 0..max.min(1_000) {
            self.forget_oldest_tombstone(retention);
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.sessions.values().filter(|it| it.waits_for.is_some()).count()
    }
}
