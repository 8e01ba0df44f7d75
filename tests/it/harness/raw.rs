//! A peer that says whatever the test wants: handshakes and frames byte by byte.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::http::Answer;
use super::wait;

/// The key of RFC 6455, section 1.3, and the proof that belongs to it.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// Of a frame's second byte.
pub(crate) const MASKED: u8 = 0x80;
/// A length of 16 or 64 bits follows.
pub(crate) const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;

/// A TCP connection, or a stream on one.
pub(crate) struct Raw<S = TcpStream> {
    pub(crate) stream: S,
    /// Read, but not used yet.
    bytes: Vec<u8>,
}

/// The lines of a handshake in order, for a test to change.
pub(crate) fn handshake() -> Vec<(&'static str, String)> {
    vec![
        ("Host", "localhost:4000".to_owned()),
        ("Upgrade", "websocket".to_owned()),
        ("Connection", "Upgrade".to_owned()),
        ("Sec-WebSocket-Key", KEY.to_owned()),
        ("Sec-WebSocket-Version", "13".to_owned()),
        ("Sec-WebSocket-Protocol", "graphql-transport-ws".to_owned()),
    ]
}

/// A request with these headers.
pub(crate) fn request(line: &str, headers: &[(&str, String)]) -> String {
    let headers = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    format!("{line}\r\n{}\r\n", headers.collect::<Vec<_>>().concat())
}

/// A whole frame with any first byte, masked.
pub(crate) fn frame_with(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = vec![first];
    let length = payload.len();
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ 0..=125), _) => frame.push(MASKED | length),
        (_, Ok(length)) => {
            frame.push(MASKED | LENGTH_16);
            frame.extend(length.to_be_bytes());
        }
        _ => {
            frame.push(MASKED | LENGTH_64);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// A frame that starts an operation; the variables are JSON.
pub(crate) fn subscribe(id: &str, query: &str, variables: &str) -> Vec<u8> {
    let query = serde_json::Value::from(query);
    let payload = format!(r#"{{"query":{query},"variables":{variables}}}"#);
    let text = format!(r#"{{"id":"{id}","type":"subscribe","payload":{payload}}}"#);
    frame(TEXT, text.as_bytes())
}

/// A whole message in one frame.
pub(crate) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    frame_with(0x80 | opcode, payload)
}

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::on(TcpStream::connect(address).await.unwrap())
    }

    /// A connection whose kernel takes little that is not read.
    pub(crate) async fn connect_narrow(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 << 10).unwrap();
        Self::on(socket.connect(address).await.unwrap())
    }

    /// One that reads and one that writes, to do both at once.
    pub(crate) fn split(self) -> (Self, Self) {
        let stream = self.stream.into_std().unwrap();
        let twin = TcpStream::from_std(stream.try_clone().unwrap()).unwrap();
        let stream = TcpStream::from_std(stream).unwrap();
        (Self { stream, bytes: self.bytes }, Self { stream: twin, bytes: Vec::new() })
    }

    /// Cuts the connection off without a word: what is sent to it is answered with a reset.
    pub(crate) fn reset(self) {
        let stream = self.stream.into_std().unwrap();
        socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    /// On a stream that leads to the broker.
    pub(crate) fn on(stream: S) -> Self {
        Self { stream, bytes: Vec::new() }
    }

    /// Sends a handshake and reads the answer.
    pub(crate) async fn ask(&mut self, lines: &[(&str, String)]) -> Answer {
        self.write(request("GET /graphql HTTP/1.1", lines).as_bytes()).await;
        self.answer().await
    }

    /// Completes a handshake.
    pub(crate) async fn upgrade(mut self) -> Self {
        let answer = self.ask(&handshake()).await;
        assert_eq!(answer.status, 101, "{answer:?}");
        self
    }

    /// A connection that has been acknowledged.
    pub(crate) async fn acknowledged(self) -> Self {
        let mut raw = self.upgrade().await;
        raw.write(&frame(TEXT, br#"{"type":"connection_init"}"#)).await;
        let ack = raw.text().await;
        assert!(ack.contains("connection_ack"), "{ack}");
        raw
    }

    /// Writes all of it; a peer that is gone by then is for the reading to find out.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        let written = wait::within("a write", self.stream.write_all(bytes)).await;
        drop(written);
    }

    /// An HTTP response with its body.
    pub(crate) async fn answer(&mut self) -> Answer {
        let end = loop {
            if let Some(end) = self.bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            assert!(self.read().await, "the server closed before its answer: {:?}", self.bytes);
        };
        let rest = self.bytes.split_off(end + 4);
        let head = String::from_utf8(std::mem::replace(&mut self.bytes, rest)).unwrap();
        let mut answer = Answer::parse(&head, String::new());
        let length = answer.header("content-length").parse().unwrap_or(0);
        while self.bytes.len() < length {
            assert!(self.read().await, "the server closed inside of its answer");
        }
        let rest = self.bytes.split_off(length);
        answer.body = String::from_utf8(std::mem::replace(&mut self.bytes, rest)).unwrap();
        answer
    }

    /// The next frame: its first byte and its payload; `None` at the end of the stream.
    pub(crate) async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some((first, start, end)) = self.header()
                && self.bytes.len() >= end
            {
                let rest = self.bytes.split_off(end);
                let payload = std::mem::replace(&mut self.bytes, rest).split_off(start);
                return Some((first, payload));
            }
            if !self.read().await {
                return None;
            }
        }
    }

    /// First byte, and where the payload begins and ends; `None`: more has to be read.
    fn header(&self) -> Option<(u8, usize, usize)> {
        let (first, second) = (*self.bytes.first()?, *self.bytes.get(1)?);
        assert_eq!(second & MASKED, 0, "a server must not mask");
        let (start, length) = match second {
            LENGTH_16 => (4, u64::from(u16::from_be_bytes(self.bytes.get(2..4)?.try_into().ok()?))),
            LENGTH_64 => (10, u64::from_be_bytes(self.bytes.get(2..10)?.try_into().ok()?)),
            length => (2, u64::from(length)),
        };
        Some((first, start, start + usize::try_from(length).unwrap()))
    }

    /// The next text message; pings are passed over.
    pub(crate) async fn text(&mut self) -> String {
        loop {
            match self.frame().await {
                Some((first, payload)) if first == 0x80 | TEXT => {
                    return String::from_utf8(payload).unwrap();
                }
                Some((first, _)) if first == 0x80 | PING => {}
                other => panic!("no text message: {other:?}"),
            }
        }
    }

    /// Reads up to the close frame: its code and reason.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        loop {
            let Some((first, payload)) = self.frame().await else {
                panic!("the stream ended without a close frame")
            };
            if first == 0x80 | CLOSE {
                let (code, reason) = payload.split_at(2);
                let reason = String::from_utf8(reason.to_vec()).unwrap();
                return (u16::from_be_bytes(code.try_into().unwrap()), reason);
            }
        }
    }

    /// Waits until the server has closed the stream; returns what it said before.
    pub(crate) async fn end(&mut self) -> Vec<(u8, Vec<u8>)> {
        let mut frames = Vec::new();
        while let Some(frame) = self.frame().await {
            frames.push(frame);
        }
        frames
    }

    async fn read(&mut self) -> bool {
        let read = wait::within("bytes from the server", self.stream.read_buf(&mut self.bytes));
        matches!(read.await, Ok(count) if count > 0)
    }
}
