//! The three listeners, bound before anything is written.

use super::{Addresses, BootError};
use crate::config::Config;
use std::net::{SocketAddr, TcpListener};

pub(super) struct Ports {
    pub(super) api: TcpListener,
    pub(super) admin: TcpListener,
    pub(super) peer: TcpListener,
}

impl Ports {
    pub(super) fn bind(config: &Config) -> Result<Self, BootError> {
        Ok(Self {
            api: bind("api.listen", "CURFEW__API__LISTEN", &config.api.listen)?,
            admin: bind("admin.listen", "CURFEW__ADMIN__LISTEN", &config.admin.listen)?,
            peer: bind("peer.listen", "CURFEW__PEER__LISTEN", &config.peer.listen)?,
        })
    }

    pub(super) fn addresses(&self) -> Result<Addresses, BootError> {
        let address = |listener: &TcpListener| listener.local_addr().map_err(|error| BootError::Runtime(error.to_string()));
        Ok(Addresses { api: address(&self.api)?, admin: address(&self.admin)?, peer: address(&self.peer)? })
    }
}

fn bind(key: &'static str, variable: &'static str, address: &impl ToString) -> Result<TcpListener, BootError> {
    let address = address.to_string();
    let refuse = |why: String| BootError::Port { key, address: address.clone(), why, variable };
    let socket: SocketAddr = address.parse().map_err(|_| refuse("it is not an address and a port".to_owned()))?;
    TcpListener::bind(socket).map_err(|error| refuse(error.to_string()))
}
