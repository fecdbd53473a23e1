//! What applying has made true, handed on in order: subscribers first, then keys, then actors.

use super::keys::KeyWatch;
use crate::actors::Actors;
use crate::command::Event;
use crate::domain::LogIndex;
use crate::feed::Hub;
use crate::raft::Listener;
use std::sync::OnceLock;

pub(super) struct Facts {
    hub: Hub,
    keys: KeyWatch,
    actors: OnceLock<Actors>,
}

impl Facts {
    pub(super) fn new(hub: Hub, keys: KeyWatch) -> Self {
        Self { hub, keys, actors: OnceLock::new() }
    }

    pub(super) fn set_actors(&self, actors: Actors) {
        let _ = self.actors.set(actors);
    }
}

impl Listener for Facts {
    fn applied(&self, applied: LogIndex, events: &[Event]) {
        self.hub.publish(applied, events);
        if events.contains(&Event::Keys) {
            self.keys.reload();
        }
        if let Some(actors) = self.actors.get()
            && !events.is_empty()
        {
            actors.told(events);
        }
    }

    fn installed(&self, applied: LogIndex) {
        self.hub.installed(applied);
        self.keys.reload();
        if let Some(actors) = self.actors.get() {
            actors.installed();
        }
    }
}
