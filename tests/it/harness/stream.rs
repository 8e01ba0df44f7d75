//! A response that does not end: read in pieces, as a browser or a proxy would.

use std::fmt::Write as _;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::http::Answer;
use super::raw::Raw;
use super::wait;

/// An open response.
pub(crate) struct Stream {
    /// Status and headers.
    pub(crate) head: Answer,
    socket: TcpStream,
    /// Read, with the marks of the chunks.
    raw: Vec<u8>,
    /// Taken out of its chunks.
    text: String,
    /// Read of a body that does not come in chunks.
    plain_bytes: usize,
    is_over: bool,
}

/// One server-sent event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) kind: String,
    pub(crate) id: Option<String>,
    pub(crate) data: Option<String>,
    pub(crate) retry: Option<String>,
    pub(crate) is_comment: bool,
}

impl Event {
    fn parse(block: &str) -> Self {
        let mut event = Self::default();
        for line in block.lines() {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
            match name {
                "" => event.is_comment = true,
                "event" => event.kind = value,
                "id" => event.id = Some(value),
                "retry" => event.retry = Some(value),
                "data" => match &mut event.data {
                    Some(data) => write!(data, "\n{value}").unwrap(),
                    None => event.data = Some(value),
                },
                other => panic!("no field of an event: {other:?}"),
            }
        }
        event
    }

    /// The data as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        let data = self.data.as_deref().unwrap_or_else(|| panic!("no data: {self:?}"));
        serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Stream {
    /// Sends a request and reads the head of the answer.
    pub(crate) async fn open(
        address: SocketAddr,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Self {
        Self::on(Raw::connect(address).await.stream, method, path, headers, body).await
    }

    /// The same on a connection that there is.
    pub(crate) async fn on(
        mut stream: TcpStream,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Self {
        let address = stream.peer_addr().unwrap();
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n");
        for (name, value) in headers {
            write!(text, "{name}: {value}\r\n").unwrap();
        }
        write!(text, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut raw = Vec::new();
        let end = loop {
            if let Some(end) = raw.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            let read = wait::within("the head of a response", stream.read_buf(&mut raw)).await;
            assert!(read.unwrap() > 0, "the server closed: {:?}", String::from_utf8_lossy(&raw));
        };
        let rest = raw.split_off(end + 4);
        let head = Answer::parse(&String::from_utf8(raw).unwrap(), String::new());
        let mut opened = Self {
            head,
            socket: stream,
            raw: rest,
            text: String::new(),
            plain_bytes: 0,
            is_over: false,
        };
        opened.unchunk();
        opened
    }

    /// The next block that is not only a comment; `None` at the end of the stream.
    pub(crate) async fn event(&mut self) -> Option<Event> {
        loop {
            let event = Event::parse(&self.block("\n\n").await?);
            if !event.is_comment {
                return Some(event);
            }
        }
    }

    /// The next event with data, and the ids that came before it.
    pub(crate) async fn message(&mut self) -> Event {
        loop {
            let event = self.event().await.expect("the stream ended");
            if event.data.is_some() {
                return event;
            }
        }
    }

    /// Everything up to this mark, without it; `None` at the end of the stream.
    pub(crate) async fn block(&mut self, mark: &str) -> Option<String> {
        loop {
            if let Some(at) = self.text.find(mark) {
                let rest = self.text.split_off(at + mark.len());
                let mut block = std::mem::replace(&mut self.text, rest);
                block.truncate(at);
                return Some(block);
            }
            if !self.read().await {
                return None;
            }
        }
    }

    /// What is left when the stream has ended.
    pub(crate) async fn rest(&mut self) -> String {
        while self.read().await {}
        std::mem::take(&mut self.text)
    }

    async fn read(&mut self) -> bool {
        if self.is_over {
            return false;
        }
        let read = wait::within("more of a stream", self.socket.read_buf(&mut self.raw)).await;
        if !matches!(read, Ok(count) if count > 0) {
            self.is_over = true;
        }
        self.unchunk();
        true
    }

    /// Takes whole chunks out of what was read (RFC 9112, section 7.1).
    fn unchunk(&mut self) {
        if self.head.header("transfer-encoding") != "chunked" {
            let bytes = std::mem::take(&mut self.raw);
            self.plain_bytes += bytes.len();
            self.text.push_str(&String::from_utf8(bytes).unwrap());
            let length: Option<usize> = self.head.header("content-length").parse().ok();
            self.is_over |= length.is_some_and(|length| self.plain_bytes >= length);
            return;
        }
        while let Some(end) = self.raw.windows(2).position(|two| two == b"\r\n") {
            let size = std::str::from_utf8(&self.raw[..end]).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            let Some(chunk) = self.raw.get(end + 2..end + 2 + size) else { return };
            if self.raw.len() < end + 2 + size + 2 {
                return;
            }
            self.text.push_str(std::str::from_utf8(chunk).unwrap());
            self.raw.drain(..end + 2 + size + 2);
            self.is_over |= size == 0;
        }
    }
}
