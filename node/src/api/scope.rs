//! Scopes: what an API key may do.

use std::fmt;

/// One thing that an API key may be allowed to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Scope {
    /// Authenticate, show and list sessions.
    SessionsRead,
    /// Start, change and extend sessions.
    SessionsWrite,
    /// End sessions.
    SessionsRevoke,
    /// List and follow revocations.
    RevocationsRead,
    /// See how cluster and node are.
    AdminRead,
    /// Act on the cluster: snapshots, leadership.
    AdminWrite,
    /// Form the cluster, add and remove members.
    AdminMembers,
    /// Rotate and withdraw signing keys.
    AdminKeys,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::SessionsRead,
        Self::SessionsWrite,
        Self::SessionsRevoke,
        Self::RevocationsRead,
        Self::AdminRead,
        Self::AdminWrite,
        Self::AdminMembers,
        Self::AdminKeys,
    ];

    /// The name that callers and challenges use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SessionsRead => "sessions:read",
            Self::SessionsWrite => "sessions:write",
            Self::SessionsRevoke => "sessions:revoke",
            Self::RevocationsRead => "revocations:read",
            Self::AdminRead => "admin:read",
            Self::AdminWrite => "admin:write",
            Self::AdminMembers => "admin:members",
            Self::AdminKeys => "admin:keys",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of scopes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scopes(u8);

impl Scopes {
    /// Every scope there is: what the root key has.
    pub const ALL: Self = Self(u8::MAX);
    /// No scope at all.
    pub const NONE: Self = Self(0);

    /// Whether the scope is in the set.
    #[must_use]
    pub fn has(self, scope: Scope) -> bool {
        self.0 & Self::bit(scope) != 0
    }

    /// The set and the scope.
    #[must_use]
    pub fn with(self, scope: Scope) -> Self {
        Self(self.0 | Self::bit(scope))
    }

    /// The set without the scope.
    #[must_use]
    pub fn without(self, scope: Scope) -> Self {
        Self(self.0 & !Self::bit(scope))
    }

    fn bit(scope: Scope) -> u8 {
        1 << (scope as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_without_one_scope_has_all_others() {
        for scope in Scope::ALL {
            assert!(Scopes::ALL.has(scope));
            for other in Scope::ALL {
                assert_eq!(Scopes::ALL.without(scope).has(other), scope != other, "{scope} {other}");
            }
        }
    }
}
