//! What an afternoon with axum and async-graphql makes: the stock subscription service, a
//! broadcast channel per topic. A peer for the benchmarks; no part of Tidings.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Mutex, PoisonError};

use async_graphql::{Context, Object, Schema, SimpleObject, Subscription};
use async_graphql_axum::{GraphQL, GraphQLSubscription};
use axum::Router;
use axum::routing::post_service;
use futures_util::{Stream, StreamExt};
use tokio::net::TcpListener;
use tokio::sync::broadcast::{Sender, channel};
use tokio_stream::wrappers::BroadcastStream;

/// Messages that a subscriber may fall behind before it loses some.
const BEHIND_MAX: usize = 16_384;

#[derive(Clone, SimpleObject)]
struct Message {
    topic: String,
    payload: String,
}

/// The lock is held for a look into the map, never over an await.
#[derive(Default)]
struct Topics(Mutex<HashMap<String, Sender<Message>>>);

impl Topics {
    fn sender(&self, topic: &str) -> Sender<Message> {
        let mut topics = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        topics.entry(topic.to_owned()).or_insert_with(|| channel(BEHIND_MAX).0).clone()
    }
}

struct Query;

#[Object]
impl Query {
    async fn ping(&self) -> bool {
        true
    }
}

struct Mutation;

#[Object]
impl Mutation {
    async fn publish(&self, context: &Context<'_>, topic: String, payload: String) -> bool {
        let sender = context.data_unchecked::<Topics>().sender(&topic);
        // Nobody may be subscribed.
        let _ = sender.send(Message { topic, payload });
        true
    }
}

struct Subscriptions;

#[Subscription]
impl Subscriptions {
    async fn message(
        &self,
        context: &Context<'_>,
        topic: String,
    ) -> impl Stream<Item = Message> + use<> {
        let receiver = context.data_unchecked::<Topics>().sender(&topic).subscribe();
        BroadcastStream::new(receiver).filter_map(|message| async { message.ok() })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port: u16 = std::env::var("PORT")?.parse()?;
    let schema = Schema::build(Query, Mutation, Subscriptions).data(Topics::default()).finish();
    let service = GraphQLSubscription::new(schema.clone());
    let route = post_service(GraphQL::new(schema)).get_service(service);
    let app = Router::new().route("/graphql", route);
    // Stock, but for the delay of small packets that others switch off too.
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    axum::serve(
        axum::serve::ListenerExt::tap_io(listener, |stream| {
            let _ = stream.set_nodelay(true);
        }),
        app,
    )
    .await?;
    Ok(())
}
