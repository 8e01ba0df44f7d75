/**
 * The documents that the console sends by itself. operations.d.ts has their types, generated, so
 * that a field that is not asked for, or is no longer there, is found without running the page.
 */

export const BROKER = `query Broker {
  broker { version node engine startedAt }
}`;

export const TOPICS = `query Topics($match: String!, $first: Int!) {
  topics(match: $match, first: $first) {
    nodes { name type messages bytes subscribers publishedPerSecond deliveredPerSecond }
    pageInfo { hasNextPage }
  }
}`;

export const TAIL = `subscription Tail($topics: [String!]!) {
  messages(topics: $topics, last: 20) { topic cursor publishedAt key headers payload }
}`;

export const PUBLISH = `mutation Publish(
  $topic: String!, $payload: JSON!, $key: String, $id: String
) {
  publish(topic: $topic, payload: $payload, key: $key, id: $id) { cursor publishedAt }
}`;

export const FIGURES = `subscription Figures {
  stats(every: 1) {
    connections subscriptions topics keptBytes
    publishedPerSecond deliveredPerSecond droppedPerSecond deliveryP50Ms deliveryP99Ms
  }
}`;
