/** Yjs documents over Tidings: a document is a topic, awareness is the topic's presence. */
export { TidingsProvider } from "./provider.js";
export type { Events, Options, Server, Status } from "./provider.js";
export { Lost, Refused } from "./graphql.js";
