//! Bytes that were read from a socket come in, with the headers of the request that opened it.
//! Whole messages go out, and the frame headers, masks and answers that a peer is owed.
//! Nothing here knows of sockets, clocks, subprotocols or what a message means (RFC 6455).

pub mod assemble;
pub mod close;
pub mod error;
pub mod frame;
pub mod handshake;
pub mod mask;
