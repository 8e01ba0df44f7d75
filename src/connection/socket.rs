//! What a connection reads from and writes to: a TCP socket, TLS on one, or a stream inside
//! something else.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::io::{self, Read as _};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use rustls::ServerConnection;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use super::tls::Tls;

/// A stream that is not a socket of its own, such as one of an HTTP/2 connection.
pub trait Duplex: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Duplex for T {}

/// What is handed to a shard.
pub enum Stream {
    /// A socket; not registered with any runtime.
    Tcp(std::net::TcpStream),
    /// A socket like that, and TLS on it after the handshake.
    Tls(std::net::TcpStream, Box<ServerConnection>),
    /// A stream that tasks of any runtime may use.
    Other(Pin<Box<dyn Duplex>>),
}

/// One end of a connection, of which one task reads and any may write.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Tls(Box<Tls>),
    Other(Box<Other>),
}

/// Most bytes that are held for a stream that takes none.
const HELD_BYTES: usize = 16 << 10;

/// A stream that says whether it takes bytes only when it is given some: those are held here.
pub(super) struct Other {
    stream: RefCell<Pin<Box<dyn Duplex>>>,
    held: RefCell<Vec<u8>>,
    /// Who waits to read and who waits to write, to be woken when the connection is over.
    reader: Cell<Option<Waker>>,
    writer: Cell<Option<Waker>>,
    is_over: Cell<bool>,
}

impl Socket {
    pub(super) fn new(stream: Stream) -> io::Result<Self> {
        Ok(match stream {
            Stream::Tcp(stream) => Self::Tcp(TcpStream::from_std(stream)?),
            Stream::Tls(stream, session) => {
                Self::Tls(Box::new(Tls::new(TcpStream::from_std(stream)?, *session)))
            }
            Stream::Other(stream) => Self::Other(Box::new(Other {
                stream: RefCell::new(stream),
                held: RefCell::default(),
                reader: Cell::default(),
                writer: Cell::default(),
                is_over: Cell::new(false),
            })),
        })
    }

    /// Waits until there is something to read and reads it; 0 bytes are the end. The buffer is
    /// borrowed only while bytes are copied: all connections of a shard share it.
    ///
    /// Thousands of connections wait here, so what waits is as small as it can be.
    pub(super) async fn read(&self, into: &RefCell<Box<[u8]>>) -> io::Result<usize> {
        poll_fn(|cx| match self {
            Self::Tcp(socket) => loop {
                ready!(socket.poll_read_ready(cx))?;
                match try_read(socket, &mut into.borrow_mut()) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    read => return Poll::Ready(read),
                }
            },
            Self::Tls(tls) => tls.poll_read(cx, into),
            Self::Other(other) => other.poll_read(cx, into),
        })
        .await
    }

    /// Writes what can be written at once.
    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.try_write(bytes),
            Self::Tls(tls) => tls.try_write(bytes),
            Self::Other(other) => other.try_write(bytes),
        }
    }

    /// Pushes on what was written; `false` while some of it waits.
    pub(super) fn try_flush(&self) -> io::Result<bool> {
        match self {
            Self::Tcp(_) => Ok(true),
            Self::Tls(tls) => tls.try_flush(),
            Self::Other(other) => match other.poll_flush(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(flushed) => flushed.map(|()| true),
                Poll::Pending => Ok(false),
            },
        }
    }

    /// Waits until more can be written.
    pub(super) async fn writable(&self) -> io::Result<()> {
        poll_fn(|cx| match self {
            Self::Tcp(socket) => socket.poll_write_ready(cx),
            Self::Tls(tls) => tls.poll_writable(cx),
            Self::Other(other) => other.poll_writable(cx),
        })
        .await
    }

    /// For so long the peer may read nothing of what was sent, where the system can tell.
    pub(super) fn set_patience(&self, patience: Duration) {
        match self {
            Self::Tcp(socket) => bound_silence(socket, patience),
            Self::Tls(tls) => bound_silence(tls.socket(), patience),
            // The connection that it is a stream of has its own.
            Self::Other(_) => {}
        }
    }

    /// Tells the peer that nothing more comes.
    pub(super) fn end_writing(&self) {
        // A peer that is gone needs not be told.
        match self {
            Self::Tcp(socket) => {
                let _ = SockRef::from(socket).shutdown(std::net::Shutdown::Write);
            }
            Self::Tls(tls) => tls.end_writing(),
            Self::Other(other) => other.end_writing(),
        }
    }

    /// Ends both directions; who waits in `read` or `writable` is woken.
    pub(super) fn end(&self) {
        match self {
            Self::Tcp(socket) => {
                let _ = SockRef::from(socket).shutdown(std::net::Shutdown::Both);
            }
            Self::Tls(tls) => tls.end(),
            Self::Other(other) => other.end(),
        }
    }
}

/// Reads what there is. Where readiness is told once for each arrival (epoll, kqueue), less than a
/// buffer full is all there was: not asking a second time saves a call of the kernel per message.
fn try_read(socket: &TcpStream, into: &mut [u8]) -> io::Result<usize> {
    const IS_TOLD_ONCE: bool = cfg!(any(target_os = "linux", target_os = "macos"));
    let mut all = None;
    let read = socket.try_io(Interest::READABLE, || {
        let count = (&*SockRef::from(socket)).read(into)?;
        if IS_TOLD_ONCE && (1..into.len()).contains(&count) {
            all = Some(count);
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(count)
    });
    all.map_or(read, Ok)
}

/// A peer that reads nothing for so long is gone; a socket that is gone itself needs no bound.
fn bound_silence(socket: &TcpStream, patience: Duration) {
    #[cfg(target_os = "linux")]
    let _ = SockRef::from(socket).set_tcp_user_timeout(Some(patience));
}

impl Other {
    fn poll_read(
        &self,
        cx: &mut Context<'_>,
        into: &RefCell<Box<[u8]>>,
    ) -> Poll<io::Result<usize>> {
        if self.is_over.get() {
            return Poll::Ready(Ok(0));
        }
        let mut into = into.borrow_mut();
        let mut buffer = ReadBuf::new(&mut into);
        match self.stream.borrow_mut().as_mut().poll_read(cx, &mut buffer) {
            Poll::Ready(read) => Poll::Ready(read.map(|()| buffer.filled().len())),
            Poll::Pending => {
                self.reader.set(Some(cx.waker().clone()));
                Poll::Pending
            }
        }
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut cx = Context::from_waker(Waker::noop());
        if self.poll_held(&mut cx)?.is_pending() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut taken = 0;
        while taken < bytes.len() {
            // In pieces: some streams take whatever they are given, and count it as one.
            let piece = &bytes[taken..bytes.len().min(taken + HELD_BYTES)];
            match self.stream.borrow_mut().as_mut().poll_write(&mut cx, piece) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(written) => taken += written?,
                Poll::Pending => {
                    self.held.borrow_mut().extend_from_slice(piece);
                    return Ok(taken + piece.len());
                }
            }
        }
        Ok(taken)
    }

    fn poll_held(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_over.get() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let mut held = self.held.borrow_mut();
        while !held.is_empty() {
            let written = ready!(self.stream.borrow_mut().as_mut().poll_write(cx, &held))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            held.drain(..written);
        }
        *held = Vec::new();
        Poll::Ready(Ok(()))
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.poll_flush(cx);
        if flushed.is_pending() {
            self.writer.set(Some(cx.waker().clone()));
        }
        flushed
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_held(cx))?;
        self.stream.borrow_mut().as_mut().poll_flush(cx)
    }

    fn end_writing(&self) {
        let mut cx = Context::from_waker(Waker::noop());
        // What cannot be said at once is said by dropping the stream.
        let _ = self.stream.borrow_mut().as_mut().poll_shutdown(&mut cx);
    }

    fn end(&self) {
        self.end_writing();
        self.is_over.set(true);
        for waiting in [self.reader.take(), self.writer.take()].into_iter().flatten() {
            waiting.wake();
        }
    }
}

impl fmt::Debug for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Other").field("held", &self.held.borrow().len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(stream) => f.debug_tuple("Tcp").field(stream).finish(),
            Self::Tls(stream, _) => f.debug_tuple("Tls").field(stream).finish(),
            Self::Other(_) => f.write_str("Other"),
        }
    }
}
