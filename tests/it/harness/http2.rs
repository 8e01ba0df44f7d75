//! HTTP/2 as a client: extended CONNECT (RFC 8441), and streams as something to read and write.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::http::{Method, Request, Response, Version};
use bytes::Bytes;
use h2::client::SendRequest;
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::broker::Broker;
use super::peer::{Peer, TRANSPORT_WS};
use super::wait;

/// One HTTP/2 connection.
pub(crate) struct Http2 {
    requests: SendRequest<Bytes>,
}

/// What a server may send on one stream before it is read.
const STREAM_WINDOW: u32 = 64 << 10;
/// And on all streams of a connection.
const CONNECTION_WINDOW: u32 = 4 << 20;

impl Http2 {
    /// Over cleartext, with prior knowledge.
    pub(crate) async fn connect(broker: &Broker) -> Self {
        Self::on(TcpStream::connect(broker.address).await.unwrap()).await
    }

    /// On a stream that leads to the broker.
    pub(crate) async fn on<S>(stream: S) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(STREAM_WINDOW);
        builder.initial_connection_window_size(CONNECTION_WINDOW);
        let handshake = wait::within("HTTP/2", builder.handshake(stream));
        let (requests, connection) = handshake.await.unwrap();
        tokio::spawn(async move { drop(connection.await) });
        wait::until("extended CONNECT is offered", async || {
            requests.is_extended_connect_protocol_enabled().then_some(())
        })
        .await;
        Self { requests }
    }

    /// Sends a request for a WebSocket with these headers beside the usual version.
    pub(crate) async fn ask(
        &self,
        protocol: &'static str,
        headers: &[(&str, &str)],
    ) -> (Response<RecvStream>, SendStream<Bytes>) {
        let request = Request::builder()
            .method(Method::CONNECT)
            .version(Version::HTTP_2)
            .uri("http://localhost:4000/graphql")
            .extension(Protocol::from_static(protocol));
        let add = |request: axum::http::request::Builder, (name, value): &(&str, &str)| {
            request.header(*name, *value)
        };
        let request = headers.iter().fold(request, add).body(()).unwrap();
        let ready = self.requests.clone().ready();
        let mut requests = wait::within("room for a stream", ready).await.unwrap();
        let (response, sending) = requests.send_request(request, false).unwrap();
        (wait::within("an answer", response).await.unwrap(), sending)
    }

    /// A WebSocket that has been accepted.
    pub(crate) async fn open(&self) -> Stream {
        let headers = [("sec-websocket-version", "13"), ("sec-websocket-protocol", TRANSPORT_WS)];
        let (response, sending) = self.ask("websocket", &headers).await;
        assert_eq!(response.status(), 200, "{response:?}");
        Stream { receiving: response.into_body(), sending, unread: Bytes::new() }
    }

    /// A client that has been acknowledged.
    pub(crate) async fn peer(&self) -> Peer<Stream> {
        let stream = self.open().await;
        let socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
        Peer::of(socket).acknowledged(&serde_json::json!({})).await
    }
}

/// A stream of a connection. What is not read here keeps the stream's window shut.
pub(crate) struct Stream {
    pub(crate) receiving: RecvStream,
    pub(crate) sending: SendStream<Bytes>,
    unread: Bytes,
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            match ready!(self.receiving.poll_data(cx)) {
                None => return Poll::Ready(Ok(())),
                Some(bytes) => self.unread = bytes.map_err(io::Error::other)?,
            }
        }
        let count = self.unread.len().min(into.remaining());
        into.put_slice(&self.unread.split_to(count));
        let _ = self.receiving.flow_control().release_capacity(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.sending.reserve_capacity(bytes.len());
        while self.sending.capacity() == 0 {
            let capacity = ready!(self.sending.poll_capacity(cx));
            capacity.ok_or(io::ErrorKind::BrokenPipe)?.map_err(io::Error::other)?;
        }
        let count = self.sending.capacity().min(bytes.len());
        let piece = Bytes::copy_from_slice(&bytes[..count]);
        self.sending.send_data(piece, false).map_err(io::Error::other)?;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.sending.send_data(Bytes::new(), true).map_err(io::Error::other))
    }
}
