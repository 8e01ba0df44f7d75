/** Connections of graphql-ws that a test can break. */

import { createClient } from "graphql-ws";
import WebSocket from "ws";

/** Sockets that a test can destroy, each as a network would: without a word. */
export function fragileSockets() {
  const open = new Set();
  class Fragile extends WebSocket {
    constructor(url, protocols) {
      super(url, protocols, { perMessageDeflate: false });
      open.add(this);
      this.on("close", () => open.delete(this));
    }
  }
  return { webSocketImpl: Fragile, cut: () => open.forEach((socket) => socket.terminate()) };
}

/** A client whose connections are cut by `cut`, and that comes back at once. */
export function newClient(url) {
  const { webSocketImpl, cut } = fragileSockets();
  const client = createClient({
    url, webSocketImpl, retryAttempts: Infinity, shouldRetry: () => true,
    retryWait: () => new Promise((resolve) => setTimeout(resolve, 5)),
  });
  return { client, cut };
}
