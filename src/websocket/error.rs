//! What a peer did wrong on an open WebSocket, and the code that its connection is closed with.

/// The peer broke the protocol; its connection has to be closed with [`Error::close_code`].
///
/// The text is short enough for the reason of a close frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// RSV2 or RSV3, or RSV1 where no extension gave it a meaning.
    #[error("a reserved bit is set, which no negotiated extension gives a meaning")]
    ReservedBit,
    /// Opcodes 3 to 7 and 11 to 15.
    #[error("opcode {0} is reserved; use 0 to 2 or 8 to 10")]
    ReservedOpcode(u8),
    /// A control frame without FIN.
    #[error("a control frame is fragmented; close, ping and pong must be single frames")]
    ControlFragmented,
    /// A control frame with a 16-bit or 64-bit length.
    #[error("a control frame is longer than 125 bytes")]
    ControlTooLong,
    /// 126 or 127 announced a length that has a shorter form.
    #[error("a length is not in its shortest form")]
    LengthNotShortest,
    /// The topmost bit of a 64-bit length is set.
    #[error("a length has its topmost bit set; lengths have 63 bits")]
    LengthTooLarge,
    /// A client sent a frame in the clear.
    #[error("a frame is not masked; a client must mask every frame")]
    NotMasked,
    /// A server sent a masked frame.
    #[error("a frame is masked; a server must not mask")]
    Masked,
    /// A continuation frame and no message that it could continue.
    #[error("a continuation frame, but no fragmented message is open")]
    NothingToContinue,
    /// A text or binary frame inside a fragmented message.
    #[error("a new message began before the last fragment of the one before")]
    MessageOpen,
    /// The message would become longer than this side takes.
    #[error("the message is longer than the {bytes_max} bytes allowed")]
    TooBig {
        /// The limit.
        bytes_max: usize,
    },
    /// Text, or the reason of a close frame.
    #[error("text is not valid UTF-8")]
    NotUtf8,
    /// Compressed data that cannot be inflated from a fresh window, or that stops within a block.
    #[error("a compressed message is not whole raw DEFLATE data that begins with an empty window")]
    NotDeflate,
    /// A close frame with half a code.
    #[error("a close frame carries one byte; it must be empty or begin with a two-byte code")]
    HalfCloseCode,
    /// A close frame with a code that must not travel (RFC 6455, section 7.4).
    #[error("close code {0} must not be sent; use 1000, a registered code or 3000 to 4999")]
    CloseCode(u16),
}

impl Error {
    /// The code to close with (RFC 6455, section 7.4.1).
    pub const fn close_code(&self) -> u16 {
        match self {
            Self::NotUtf8 | Self::NotDeflate => 1007,
            Self::TooBig { .. } => 1009,
            Self::ReservedBit
            | Self::ReservedOpcode(_)
            | Self::ControlFragmented
            | Self::ControlTooLong
            | Self::LengthNotShortest
            | Self::LengthTooLarge
            | Self::NotMasked
            | Self::Masked
            | Self::NothingToContinue
            | Self::MessageOpen
            | Self::HalfCloseCode
            | Self::CloseCode(_) => 1002,
        }
    }
}
