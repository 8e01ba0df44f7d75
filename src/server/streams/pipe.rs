//! Two bounded lanes between a connection of a shard and the HTTP response that carries it on.
//!
//! A lane holds memory only while bytes wait in it: thousands of quiet streams cost no buffers,
//! where a pipe of a fixed size would keep both of its own for each.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Most bytes that the shard may have written and the response has not taken yet.
const OUTPUT_BYTES_MAX: usize = 64 << 10;

/// Most bytes that may wait for the shard before more is refused.
const INPUT_BYTES_MAX: usize = 256 << 10;

/// The shard's end: a stream.
#[derive(Debug)]
pub(super) struct Far(Arc<Pipe>);

/// The response's end.
#[derive(Debug)]
pub(super) struct Near(Arc<Pipe>);

/// So much waits for the shard already that more must wait, too; or the connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refused;

#[derive(Debug, Default)]
struct Pipe(Mutex<State>);

/// What the lock guards; nothing is called under it but `Waker::wake`.
#[derive(Debug, Default)]
struct State {
    /// For the shard.
    input: Vec<u8>,
    /// From the shard.
    output: Vec<u8>,
    input_reader: Option<Waker>,
    output_reader: Option<Waker>,
    output_writer: Option<Waker>,
    /// Nothing more comes from the shard.
    is_output_over: bool,
    /// The response is gone.
    is_near_gone: bool,
}

/// A pipe, by its two ends.
pub(super) fn pipe() -> (Near, Far) {
    let pipe = Arc::new(Pipe::default());
    (Near(pipe.clone()), Far(pipe))
}

impl Near {
    /// Everything that the shard has written; `None` when nothing more comes.
    pub(super) fn poll_take(&self, context: &mut Context<'_>) -> Poll<Option<Vec<u8>>> {
        let mut state = self.0.0.lock();
        if state.output.is_empty() {
            if state.is_output_over {
                return Poll::Ready(None);
            }
            state.output_reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        let bytes = std::mem::take(&mut state.output);
        wake(&mut state.output_writer);
        Poll::Ready(Some(bytes))
    }

    /// Hands whole frames to the shard. They never wait here: a response that waited for the
    /// shard to read would not read itself, and the shard might wait for just that.
    pub(super) fn send(&self, frames: &[u8]) -> Result<(), Refused> {
        let mut state = self.0.0.lock();
        if state.is_output_over || state.input.len() > INPUT_BYTES_MAX {
            return Err(Refused);
        }
        state.input.extend_from_slice(frames);
        wake(&mut state.input_reader);
        Ok(())
    }
}

impl Drop for Near {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        state.is_near_gone = true;
        wake(&mut state.input_reader);
        wake(&mut state.output_writer);
    }
}

impl AsyncRead for Far {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.0.0.lock();
        if state.input.is_empty() {
            if state.is_near_gone {
                return Poll::Ready(Ok(()));
            }
            state.input_reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        let count = state.input.len().min(buffer.remaining());
        buffer.put_slice(&state.input[..count]);
        if count == state.input.len() {
            state.input = Vec::new();
        } else {
            state.input.drain(..count);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Far {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.0.0.lock();
        if state.is_near_gone || state.is_output_over {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let count = bytes.len().min(OUTPUT_BYTES_MAX - state.output.len());
        if count == 0 && !bytes.is_empty() {
            state.output_writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        state.output.extend_from_slice(&bytes[..count]);
        wake(&mut state.output_reader);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end();
        Poll::Ready(Ok(()))
    }
}

impl Far {
    fn end(&self) {
        let mut state = self.0.0.lock();
        state.is_output_over = true;
        wake(&mut state.output_reader);
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        self.end();
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn bytes_go_both_ways_and_ends_are_seen() {
        let (near, mut far) = pipe();
        assert_eq!(near.send(b"question"), Ok(()));
        let mut buffer = [0; 5];
        far.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"quest");
        far.write_all(b"answer").await.unwrap();
        assert_eq!(poll_fn(|cx| near.poll_take(cx)).await.as_deref(), Some(&b"answer"[..]));
        far.write_all(b"last").await.unwrap();
        drop(far);
        assert_eq!(near.send(b"too late"), Err(Refused));
        assert_eq!(poll_fn(|cx| near.poll_take(cx)).await.as_deref(), Some(&b"last"[..]));
        assert_eq!(poll_fn(|cx| near.poll_take(cx)).await, None);
    }

    #[tokio::test]
    async fn what_was_sent_before_the_response_went_is_read_still() {
        let (near, mut far) = pipe();
        assert_eq!(near.send(b"goodbye"), Ok(()));
        drop(near);
        let mut rest = Vec::new();
        far.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"goodbye");
        assert_eq!(far.write(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn a_response_that_takes_nothing_stops_the_shard_at_the_bound() {
        let (near, mut far) = pipe();
        let bytes = vec![7; 3 * OUTPUT_BYTES_MAX + 5];
        let expected = bytes.len();
        let writing = tokio::spawn(async move { far.write_all(&bytes).await });
        let mut taken = 0;
        while let Some(bytes) = poll_fn(|cx| near.poll_take(cx)).await {
            assert!(bytes.len() <= OUTPUT_BYTES_MAX);
            taken += bytes.len();
        }
        writing.await.unwrap().unwrap();
        assert_eq!(taken, expected);
    }

    #[test]
    fn what_waits_for_the_shard_is_bounded() {
        let (near, _far) = pipe();
        let frame = vec![0; INPUT_BYTES_MAX];
        assert_eq!((near.send(&frame), near.send(b"x")), (Ok(()), Ok(())));
        assert_eq!(near.send(b"x"), Err(Refused));
    }
}
