/** A subscriber that checks every message of the corpus; it runs in Node and in browsers alike. */

/**
 * Reads the corpus to its end, message by message.
 *
 * @param {WebSocket} socket that is connecting with the subprotocol graphql-transport-ws
 * @param {{topic: string, count: number, echo?: string}} options `echo` goes out in a ping, and has
 *   to come back
 * @returns {Promise<{extensions: string, count: number}>}
 */
export function readCorpus(socket, { topic, count, echo = "" }) {
  const query = `subscription { messages(topics: ${JSON.stringify(topic)}, after: "earliest") {
    payload } }`;
  const send = (message) => socket.send(JSON.stringify(message));
  return new Promise((resolve, reject) => {
    let seen = 0;
    let last = Promise.resolve();
    const receive = async (data) => {
      const { type, payload } = JSON.parse(data);
      if (type === "connection_ack") {
        if (echo) send({ type: "ping", payload: { echo } });
        else send({ id: "corpus ü", type: "subscribe", payload: { query } });
      } else if (type === "pong") {
        if (payload.echo !== echo) throw new Error("the ping came back with another payload");
        send({ id: "corpus ü", type: "subscribe", payload: { query } });
      } else if (type === "next") {
        await check(payload.data.messages.payload, seen);
        seen += 1;
        if (seen === count) {
          resolve({ extensions: socket.extensions, count });
          socket.close(1000);
        }
      } else if (type !== "ping") {
        throw new Error(data);
      }
    };
    socket.addEventListener("open", () => send({ type: "connection_init" }));
    socket.addEventListener("error", () => reject(new Error(`the socket failed at ${seen}`)));
    socket.addEventListener("close", ({ code, reason }) =>
      reject(new Error(`closed with ${code} ${reason} at ${seen} of ${count}`)));
    socket.addEventListener("message", ({ data }) => {
      last = last.then(() => receive(data)).catch(reject);
    });
  });
}

async function check({ number, text, sum }, expected) {
  if (number !== expected) throw new Error(`message ${number} came for ${expected}`);
  const bytes = await globalThis.crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  const hex = Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0"));
  if (hex.join("") !== sum) throw new Error(`message ${number} is not what was published`);
}
