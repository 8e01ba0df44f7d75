//! Every code that a connection is closed with.

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseCode {
    /// The client said goodbye.
    Normal,
    /// This server stops for good.
    GoingAway,
    /// The peer broke RFC 6455.
    ProtocolError,
    /// A binary message.
    NotText,
    /// Text that is not UTF-8.
    NotUtf8,
    /// Origin, abuse, an administrator's decision.
    Policy,
    /// A message longer than allowed.
    TooBig,
    /// A fault of this server.
    Internal,
    /// The broker restarts or drains.
    Restart,
    /// A slow consumer, or more than this server can carry now.
    TryAgainLater,
    /// A message that the subprotocol does not know.
    Malformed,
    /// An operation before the acknowledgement.
    Unacknowledged,
    /// The client may not stay, or its token has expired.
    Forbidden,
    /// None of the subprotocols offered is spoken here.
    Subprotocol,
    /// No `connection_init` in time.
    InitTimeout,
    /// An operation id that is in use.
    IdInUse,
    /// A second `connection_init`.
    SecondInit,
}

impl CloseCode {
    /// All of them, by number.
    pub const ALL: [Self; 17] = [
        Self::Normal,
        Self::GoingAway,
        Self::ProtocolError,
        Self::NotText,
        Self::NotUtf8,
        Self::Policy,
        Self::TooBig,
        Self::Internal,
        Self::Restart,
        Self::TryAgainLater,
        Self::Malformed,
        Self::Unacknowledged,
        Self::Forbidden,
        Self::Subprotocol,
        Self::InitTimeout,
        Self::IdInUse,
        Self::SecondInit,
    ];

    /// The number on the wire.
    pub const fn number(self) -> u16 {
        self.row().0
    }

    /// The words on the wire where nothing more exact is known.
    pub const fn reason(self) -> &'static str {
        self.row().1
    }

    /// Whether the client may come back with what it has: graphql-ws takes all others as final.
    pub const fn may_return(self) -> bool {
        self.row().2
    }

    /// The code of that number.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.number() == number)
    }

    /// Number, reason, may the client come back. The 44xx reasons are those of graphql-ws.
    const fn row(self) -> (u16, &'static str, bool) {
        match self {
            Self::Normal => (1000, "Goodbye", true),
            Self::GoingAway => (1001, "The server stops", true),
            Self::ProtocolError => (1002, "WebSocket protocol error", false),
            Self::NotText => (1003, "Only text messages are understood", false),
            Self::NotUtf8 => (1007, "Text is not valid UTF-8", false),
            Self::Policy => (1008, "Policy violation", false),
            Self::TooBig => (1009, "Message too big", false),
            Self::Internal => (1011, "Internal error", false),
            Self::Restart => (1012, "The broker restarts", true),
            Self::TryAgainLater => (1013, "Overloaded, try again later", true),
            Self::Malformed => (4400, "Invalid message received", false),
            Self::Unacknowledged => (4401, "Unauthorized", false),
            Self::Forbidden => (4403, "Forbidden", true),
            Self::Subprotocol => (4406, "Subprotocol not acceptable", false),
            Self::InitTimeout => (4408, "Connection initialisation timeout", true),
            Self::IdInUse => (4409, "Subscriber already exists", false),
            Self::SecondInit => (4429, "Too many initialisation requests", false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_distinct_and_found() {
        for code in CloseCode::ALL {
            assert_eq!(CloseCode::from_number(code.number()), Some(code));
        }
        assert!(CloseCode::ALL.is_sorted_by_key(|code| code.number()));
        assert_eq!(CloseCode::from_number(4404), None);
    }

    #[test]
    fn who_may_come_back() {
        let returning = CloseCode::ALL.into_iter().filter(|code| code.may_return());
        let numbers: Vec<u16> = returning.map(CloseCode::number).collect();
        assert_eq!(numbers, [1000, 1001, 1012, 1013, 4403, 4408]);
    }
}
