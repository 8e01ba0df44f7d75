//! Who is on a topic: joins, states and leaves, and the streams that report them.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use slab::Slab;
use tokio::sync::mpsc;

use crate::message::json::Json;
use crate::message::time::Timestamp;
use crate::message::topic::Topic;

/// Changes that may wait for one watcher; a slower one is told that it lost track.
const CHANGES_MAX: usize = 1024;

/// One connection's presence on a topic.
#[derive(Debug, Clone)]
pub struct Member {
    /// The connection's id.
    pub connection: Arc<str>,
    /// Its subject, if it has shown a token.
    pub subject: Option<Arc<str>>,
    /// What it says of itself.
    pub state: Option<Json>,
    /// When it joined.
    pub joined_at: Timestamp,
}

/// What happened to a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PresenceKind {
    /// Was there when the watcher came.
    Present,
    /// Came.
    Joined,
    /// Has a new state.
    Updated,
    /// Went.
    Left,
}

/// One change.
#[derive(Debug, Clone)]
pub struct PresenceEvent {
    /// What happened.
    pub kind: PresenceKind,
    /// To whom.
    pub member: Arc<Member>,
}

/// Who is where on this node.
#[derive(Debug, Default)]
pub struct Presence {
    /// Guards members and watchers together, so that a watcher sees each change once and none
    /// twice; sends under it never wait.
    rooms: Mutex<FxHashMap<Topic, Room>>,
}

#[derive(Debug, Default)]
struct Room {
    members: Vec<Joined>,
    watchers: Slab<mpsc::Sender<PresenceEvent>>,
}

#[derive(Debug)]
struct Joined {
    member: Arc<Member>,
    /// Subscriptions of the connection that hold it here.
    joins: usize,
}

/// First everybody present, then every change. A joined stream leaves when it is dropped.
#[derive(Debug)]
pub struct PresenceStream {
    presence: Arc<Presence>,
    topic: Topic,
    watcher: usize,
    joined: Option<Arc<str>>,
    present: VecDeque<Arc<Member>>,
    changes: mpsc::Receiver<PresenceEvent>,
    ended: bool,
}

/// The watcher was too slow and has lost track of who is there; subscribing anew tells.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("more than {CHANGES_MAX} presence changes wait for this subscriber; subscribe again")]
pub struct LostTrack;

impl Presence {
    /// Who is on the topic, in the order of joining.
    pub fn members(&self, topic: &Topic) -> Vec<Arc<Member>> {
        let rooms = self.rooms.lock();
        let members = rooms.get(topic).map(|room| room.members.iter());
        members.into_iter().flatten().map(|joined| joined.member.clone()).collect()
    }

    /// Watches without joining.
    pub fn watch(self: &Arc<Self>, topic: &Topic) -> PresenceStream {
        let mut rooms = self.rooms.lock();
        self.stream(rooms.entry(topic.clone()).or_default(), topic, None)
    }

    /// Joins for as long as the stream lives. Joining once more gives the member its newest state.
    pub fn join(self: &Arc<Self>, topic: &Topic, member: Member) -> PresenceStream {
        let connection = member.connection.clone();
        let mut rooms = self.rooms.lock();
        let room = rooms.entry(topic.clone()).or_default();
        if let Some(joined) = room.find(&connection) {
            joined.joins += 1;
            if member.state.is_some() {
                room.update(&connection, member.state);
            }
        } else {
            let member = Arc::new(member);
            room.tell(PresenceKind::Joined, &member);
            room.members.push(Joined { member, joins: 1 });
        }
        self.stream(room, topic, Some(connection))
    }

    /// Gives a member a new state; false when the connection has not joined the topic.
    pub fn update(&self, topic: &Topic, connection: &str, state: Json) -> bool {
        let mut rooms = self.rooms.lock();
        rooms.get_mut(topic).is_some_and(|room| room.update(connection, Some(state)))
    }

    fn stream(
        self: &Arc<Self>,
        room: &mut Room,
        topic: &Topic,
        joined: Option<Arc<str>>,
    ) -> PresenceStream {
        let (sender, changes) = mpsc::channel(CHANGES_MAX);
        let watcher = room.watchers.insert(sender);
        let present = room.members.iter().map(|joined| joined.member.clone()).collect();
        let (presence, topic) = (self.clone(), topic.clone());
        PresenceStream { presence, topic, watcher, joined, present, changes, ended: false }
    }

    fn leave(&self, topic: &Topic, watcher: usize, joined: Option<&str>) {
        let mut rooms = self.rooms.lock();
        let Some(room) = rooms.get_mut(topic) else { return };
        room.watchers.try_remove(watcher);
        if let Some(connection) = joined {
            room.leave(connection);
        }
        if room.members.is_empty() && room.watchers.is_empty() {
            rooms.remove(topic);
        }
    }
}

impl Room {
    fn find(&mut self, connection: &str) -> Option<&mut Joined> {
        self.members.iter_mut().find(|joined| &*joined.member.connection == connection)
    }

    fn update(&mut self, connection: &str, state: Option<Json>) -> bool {
        let Some(joined) = self.find(connection) else { return false };
        joined.member = Arc::new(Member { state, ..Member::clone(&joined.member) });
        let member = joined.member.clone();
        self.tell(PresenceKind::Updated, &member);
        true
    }

    fn leave(&mut self, connection: &str) {
        let Some(joined) = self.find(connection) else { return };
        joined.joins -= 1;
        if joined.joins == 0 {
            let member = joined.member.clone();
            self.members.retain(|joined| &*joined.member.connection != connection);
            self.tell(PresenceKind::Left, &member);
        }
    }

    /// A watcher whose queue is full loses its sender: its stream ends with [`LostTrack`].
    fn tell(&mut self, kind: PresenceKind, member: &Arc<Member>) {
        let event = PresenceEvent { kind, member: member.clone() };
        self.watchers.retain(|_, watcher| watcher.try_send(event.clone()).is_ok());
    }
}

impl Stream for PresenceStream {
    type Item = Result<PresenceEvent, LostTrack>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(member) = self.present.pop_front() {
            return Poll::Ready(Some(Ok(PresenceEvent { kind: PresenceKind::Present, member })));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        let change = std::task::ready!(self.changes.poll_recv(context));
        self.ended = change.is_none();
        Poll::Ready(Some(change.ok_or(LostTrack)))
    }
}

impl Drop for PresenceStream {
    fn drop(&mut self) {
        self.presence.leave(&self.topic, self.watcher, self.joined.as_deref());
    }
}
