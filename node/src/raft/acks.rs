//! Acknowledgements of subscribers: a proxy may put them on any node, and they find the node of their stream (protocol, "A verifier's
//! freshness").

use super::cluster::Inner;
use super::wire::{Ack, AckPulse, Answered, Call, CallRefusal, REFUSED_NO_STREAM, REFUSED_NOT_TOLD};
use crate::domain::LogIndex;
use crate::feed::{AckError, Pulse, node_of_subscriber};

/// How long the node of the stream may take, milliseconds.
const ACK_TIMEOUT_MS: u64 = 500;

impl Inner {
    pub(crate) async fn ack(&self, subscriber: String, key_name: String, index: LogIndex) -> Result<Pulse, AckError> {
        match node_of_subscriber(&subscriber) {
            Some(node) if node != self.local.node_id() => {
                let asked = self.calls.ask(node, Call::Ack(Ack { subscriber, key_name, index }), ACK_TIMEOUT_MS).await;
                asked.map_or(Err(AckError::NotHere), |answered| heard(answered, index))
            }
            _ => self.hub.ack(&subscriber, &key_name, index).map(|()| self.hub.pulse()),
        }
    }

    pub(crate) fn ack_here(&self, ack: &Ack) -> Answered {
        match self.hub.ack(&ack.subscriber, &ack.key_name, ack.index) {
            Ok(()) => Answered::Acked(told(self.hub.pulse())),
            Err(AckError::NotHere) => refused(REFUSED_NO_STREAM, String::new()),
            Err(AckError::Ahead { told, .. }) => refused(REFUSED_NOT_TOLD, told.to_string()),
        }
    }
}

fn refused(code: u8, detail: String) -> Answered {
    Answered::Refused(CallRefusal { code, detail })
}

fn told(pulse: Pulse) -> AckPulse {
    let Pulse { index, fresh, staleness_ms, max_staleness_ms, boot, t_ms, now } = pulse;
    AckPulse { index, fresh, staleness_ms, max_staleness_ms, boot: boot.to_string(), t_ms, now }
}

fn heard(answered: Answered, acked: LogIndex) -> Result<Pulse, AckError> {
    match answered {
        Answered::Acked(AckPulse { index, fresh, staleness_ms, max_staleness_ms, boot, t_ms, now }) => {
            Ok(Pulse { index, fresh, staleness_ms, max_staleness_ms, boot: boot.into(), t_ms, now })
        }
        Answered::Refused(CallRefusal { code: REFUSED_NOT_TOLD, detail }) => Err(AckError::Ahead { acked, told: detail.parse().unwrap_or(0) }),
        _ => Err(AckError::NotHere),
    }
}
