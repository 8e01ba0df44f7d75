//! A GraphQL client over WebSocket, on a library that the broker does not use.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;

use super::wait;

/// One connection.
pub(crate) struct Peer<S = TcpStream> {
    pub(crate) socket: WebSocketStream<S>,
    /// The payload of `connection_ack`.
    pub(crate) ack: Value,
    operations: u64,
    /// Heard while something else was waited for.
    waiting: VecDeque<Value>,
}

/// What comes from the broker.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Heard {
    /// A message of the subprotocol.
    Text(String),
    /// A close frame.
    Closed(u16, String),
    /// The connection ended without one.
    Gone,
}

/// The usual subprotocol.
pub(crate) const TRANSPORT_WS: &str = "graphql-transport-ws";
/// The older one.
pub(crate) const LEGACY_WS: &str = "graphql-ws";

impl Peer {
    /// Opens a socket and says nothing yet.
    pub(crate) async fn open(address: SocketAddr, subprotocols: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::open_on(stream, subprotocols).await
    }

    /// Opens a socket and waits for the acknowledgement.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::connect_with(address, &json!({})).await
    }

    /// The same, with this payload of `connection_init`.
    pub(crate) async fn connect_with(address: SocketAddr, payload: &Value) -> Self {
        Self::open(address, TRANSPORT_WS).await.acknowledged(payload).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    /// An acknowledged connection; `None` when the broker goes before that.
    pub(crate) async fn try_open_on(stream: S) -> Option<Self> {
        let mut request = "ws://localhost/graphql".into_client_request().unwrap();
        let offered = HeaderValue::from_static(TRANSPORT_WS);
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, offered);
        let upgrade = tokio_tungstenite::client_async(request, stream);
        let mut peer = Self::of(wait::within("a handshake", upgrade).await.ok()?.0);
        peer.try_send(&json!({"type": "connection_init"})).await;
        matches!(peer.hear().await, Heard::Text(_)).then_some(peer)
    }

    /// Opens a WebSocket on a stream that leads to the broker.
    pub(crate) async fn open_on(stream: S, subprotocols: &str) -> Self {
        let mut request = "ws://localhost/graphql".into_client_request().unwrap();
        let offered = HeaderValue::from_str(subprotocols).unwrap();
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, offered);
        let upgrade = tokio_tungstenite::client_async(request, stream);
        let (socket, _) = wait::within("a handshake", upgrade).await.unwrap();
        Self::of(socket)
    }

    /// On a WebSocket that is open.
    pub(crate) fn of(socket: WebSocketStream<S>) -> Self {
        Self { socket, ack: Value::Null, operations: 0, waiting: VecDeque::new() }
    }

    /// Sends `connection_init` and waits for the acknowledgement.
    pub(crate) async fn acknowledged(mut self, payload: &Value) -> Self {
        self.send(&json!({"type": "connection_init", "payload": payload})).await;
        let ack = self.message().await;
        assert_eq!(ack["type"], "connection_ack", "{ack}");
        self.ack = ack["payload"].clone();
        self
    }

    /// The id that the broker gave this connection.
    pub(crate) fn id(&self) -> &str {
        self.ack["connection"].as_str().unwrap()
    }

    /// Sends a message of the subprotocol.
    pub(crate) async fn send(&mut self, message: &Value) {
        self.send_text(&message.to_string()).await;
    }

    /// Sends to a broker that may have closed meanwhile, as will be heard.
    pub(crate) async fn try_send(&mut self, message: &Value) {
        let sent = self.socket.send(Message::text(message.to_string()));
        drop(wait::within("a text to be sent", sent).await);
    }

    /// Sends any text.
    pub(crate) async fn send_text(&mut self, text: &str) {
        let sent = self.socket.send(Message::text(text));
        wait::within("a text to be sent", sent).await.unwrap();
    }

    /// What comes next, whatever it is; pings and pongs aside.
    pub(crate) async fn hear(&mut self) -> Heard {
        loop {
            match wait::within("a word of the broker", self.socket.next()).await {
                Some(Ok(Message::Text(text))) => return Heard::Text(text.to_string()),
                Some(Ok(Message::Close(Some(frame)))) => {
                    return Heard::Closed(frame.code.into(), frame.reason.to_string());
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(other)) => panic!("a server says nothing like {other:?}"),
                Some(Err(_)) | None => return Heard::Gone,
            }
        }
    }

    /// The next message of the subprotocol.
    pub(crate) async fn message(&mut self) -> Value {
        match self.hear().await {
            Heard::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("no message, but {other:?}"),
        }
    }

    /// Reads on until the close frame; its code and reason.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.hear().await {
                Heard::Text(_) => {}
                Heard::Closed(code, reason) => return (code, reason),
                Heard::Gone => panic!("the connection ended without a close frame"),
            }
        }
    }

    /// Starts an operation and returns its id.
    pub(crate) async fn start(&mut self, query: &str, variables: Value) -> String {
        self.start_with(json!({"query": query, "variables": variables})).await
    }

    /// Starts an operation with this payload of `subscribe`.
    pub(crate) async fn start_with(&mut self, payload: Value) -> String {
        self.operations += 1;
        let id = format!("op{}", self.operations);
        self.send(&json!({"id": id, "type": "subscribe", "payload": payload})).await;
        id
    }

    /// The next message for this operation; those for others wait.
    pub(crate) async fn message_for(&mut self, id: &str) -> Value {
        if let Some(at) = self.waiting.iter().position(|message| message["id"] == id) {
            return self.waiting.remove(at).unwrap();
        }
        loop {
            let message = self.message().await;
            if message["id"] == id {
                return message;
            }
            self.waiting.push_back(message);
        }
    }

    /// Messages that were heard and that nobody has asked for.
    pub(crate) fn unheard(&self) -> usize {
        self.waiting.len()
    }

    /// The next result of this operation.
    pub(crate) async fn next(&mut self, id: &str) -> Value {
        let mut message = self.message_for(id).await;
        assert_eq!(message["type"], "next", "{message}");
        message["payload"].take()
    }

    /// The field `messages` of the next result.
    pub(crate) async fn next_message(&mut self, id: &str) -> Value {
        let mut result = self.next(id).await;
        assert!(result.get("errors").is_none(), "{result}");
        result["data"]["messages"].take()
    }

    /// The errors with which this operation was refused or ended.
    pub(crate) async fn error(&mut self, id: &str) -> Value {
        let mut message = self.message_for(id).await;
        assert_eq!(message["type"], "error", "{message}");
        message["payload"].take()
    }

    /// Runs a query or mutation: its result, or `{"errors": …}` when it was refused.
    pub(crate) async fn run(&mut self, query: &str, variables: Value) -> Value {
        let id = self.start(query, variables).await;
        let mut message = self.message_for(&id).await;
        if message["type"] == "error" {
            return json!({"errors": message["payload"].take()});
        }
        assert_eq!(message["type"], "next", "{message}");
        let end = self.message_for(&id).await;
        assert_eq!(end["type"], "complete", "{end}");
        message["payload"].take()
    }

    /// Runs what must succeed.
    pub(crate) async fn ask(&mut self, query: &str, variables: Value) -> Value {
        let mut result = self.run(query, variables).await;
        assert!(result.get("errors").is_none(), "{query}: {result}");
        result["data"].take()
    }

    /// Publishes and returns the receipt.
    pub(crate) async fn publish(&mut self, topic: &str, payload: impl Into<Value>) -> Value {
        let mut item = json!({"topic": topic});
        item["payload"] = payload.into();
        self.publish_item(item).await
    }

    /// Publishes a `PublishInput` and returns the receipt.
    pub(crate) async fn publish_item(&mut self, item: Value) -> Value {
        let mut data = self.ask(PUBLISH, item).await;
        data["publish"].take()
    }

    /// Publishes these numbers one after the other; their cursors.
    pub(crate) async fn publish_numbers(
        &mut self,
        topic: &str,
        numbers: Range<i32>,
    ) -> Vec<String> {
        let mut cursors = Vec::new();
        for number in numbers {
            let receipt = self.publish(topic, number).await;
            cursors.push(receipt["cursor"].as_str().unwrap().to_owned());
        }
        cursors
    }

    /// The next messages of this operation have to carry these numbers.
    pub(crate) async fn expect_numbers(
        &mut self,
        id: &str,
        numbers: impl IntoIterator<Item = i32>,
    ) {
        for number in numbers {
            let message = self.next_message(id).await;
            assert_eq!(message["payload"], number, "of {id}: {message}");
        }
    }

    /// Subscribes to messages by these arguments, selecting everything.
    pub(crate) async fn follow(&mut self, arguments: &str) -> String {
        self.start(&format!("subscription {{ messages({arguments}) {MESSAGE} }}"), json!({})).await
    }

    /// Waits until the broker has handled everything that this peer has sent before. A
    /// subscription without a position is live from then on.
    pub(crate) async fn settle(&mut self) {
        self.send(&json!({"type": "ping", "payload": {"settle": true}})).await;
        loop {
            let message = self.message().await;
            if message["type"] == "pong" {
                return;
            }
            self.waiting.push_back(message);
        }
    }
}

/// Every field of a message.
pub(crate) const MESSAGE: &str =
    "{ topic cursor previous publishedAt key headers payload snapshot }";

/// Takes the fields of `PublishInput` as variables.
pub(crate) const PUBLISH: &str =
    "mutation ($topic: String!, $payload: JSON!, $key: String, $headers: JSON, $id: String,
        $ifLast: Cursor) {
        publish(topic: $topic, payload: $payload, key: $key, headers: $headers, id: $id,
            ifLast: $ifLast) { topic cursor publishedAt duplicate }
    }";

/// The code of the first error of a result or of an `error` message's payload.
pub(crate) fn code(result: &Value) -> &str {
    let errors = result.get("errors").unwrap_or(result);
    errors[0]["extensions"]["code"].as_str().unwrap_or_default()
}
