//! A TLS connection as a socket: rustls does the records, nothing here waits for both directions.

use std::cell::{RefCell, RefMut};
use std::io::{self, IoSlice, Read, Write};
use std::task::{Context, Poll, ready};

use rustls::ServerConnection;
use socket2::SockRef;
use tokio::net::TcpStream;

/// A TCP socket and the state of TLS on it, after the handshake.
#[derive(Debug)]
pub(super) struct Tls {
    socket: TcpStream,
    session: RefCell<ServerConnection>,
}

/// Most bytes that are encrypted and wait for the socket, records' headers apart.
const HELD_BYTES: usize = 64 << 10;

impl Tls {
    pub(super) fn new(socket: TcpStream, mut session: ServerConnection) -> Self {
        session.set_buffer_limit(Some(HELD_BYTES));
        Self { socket, session: RefCell::new(session) }
    }

    /// The socket below.
    pub(super) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Reads as [`super::socket::Socket::read`] does.
    pub(super) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        into: &RefCell<Box<[u8]>>,
    ) -> Poll<io::Result<usize>> {
        loop {
            // The handshake, or the last record, may have brought more than was asked for.
            if let Some(count) = self.take_decrypted(&mut into.borrow_mut())? {
                return Poll::Ready(Ok(count));
            }
            ready!(self.socket.poll_read_ready(cx))?;
            self.receive()?;
        }
    }

    /// What has been decrypted; `None`: nothing, more has to come.
    fn take_decrypted(&self, into: &mut [u8]) -> io::Result<Option<usize>> {
        match self.session.borrow_mut().reader().read(into) {
            Ok(count) => Ok(Some(count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            // Cut off without a farewell: WebSocket has its own, so this is an end like others.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Some(0)),
            Err(error) => Err(error),
        }
    }

    fn receive(&self) -> io::Result<()> {
        let mut session = self.session.borrow_mut();
        match session.read_tls(&mut Plug(&self.socket)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
        let processed = session.process_new_packets();
        // An alert says what was wrong. What does not go out now goes with the next write.
        let pushed = self.push(&mut session);
        processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        pushed.map(|_| ())
    }

    /// Encrypts and writes for as long as the socket takes what was encrypted before.
    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut session = self.session.borrow_mut();
        let mut taken = 0;
        while self.push(&mut session)? && taken < bytes.len() {
            taken += session.writer().write(&bytes[taken..])?;
        }
        if taken == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(taken) }
    }

    /// Writes what is encrypted; `false` while some of it waits.
    pub(super) fn try_flush(&self) -> io::Result<bool> {
        self.push(&mut self.session.borrow_mut())
    }

    /// Waits until the socket takes more.
    pub(super) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_write_ready(cx)
    }

    /// Says that nothing more comes, in TLS and in TCP.
    pub(super) fn end_writing(&self) {
        self.say_farewell(std::net::Shutdown::Write);
    }

    /// Ends both directions.
    pub(super) fn end(&self) {
        self.say_farewell(std::net::Shutdown::Both);
    }

    fn say_farewell(&self, how: std::net::Shutdown) {
        let mut session = self.session.borrow_mut();
        session.send_close_notify();
        // A peer that is gone, or takes nothing, needs not be told.
        let _ = self.push(&mut session);
        let _ = SockRef::from(&self.socket).shutdown(how);
    }

    fn push(&self, session: &mut RefMut<'_, ServerConnection>) -> io::Result<bool> {
        while session.wants_write() {
            match session.write_tls(&mut Plug(&self.socket)) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// Reads and writes that do not wait, in the shape that rustls asks for.
struct Plug<'a>(&'a TcpStream);

impl Read for Plug<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(into)
    }
}

impl Write for Plug<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(pieces)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
