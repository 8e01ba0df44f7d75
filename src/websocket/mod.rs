//! RFC 6455: frames, messages, and the handshake that opens a socket.
//!
//! Comes in: bytes read from a socket, and the headers of the request that opened it. Goes out:
//! whole messages, and the headers, masks and answers that a peer is owed. Knows nothing of:
//! sockets, clocks, subprotocols, what a message means.

pub mod assemble;
pub mod close;
pub mod deflate;
pub mod error;
pub mod frame;
pub mod handshake;
pub mod mask;
