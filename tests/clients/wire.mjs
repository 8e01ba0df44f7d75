/** A network between a client and the broker that a test can break. */

import { once } from "node:events";
import net from "node:net";
import { finallyDo } from "./broker.mjs";

/** The broker behind a wire that the test can cut. */
export async function startWire(t, broker) {
  const [host, port] = broker.client.split(":");
  const pairs = new Set();
  const server = net.createServer((near) => {
    const far = net.connect(Number(port), host);
    const pair = [near, far];
    pairs.add(pair);
    near.pipe(far).pipe(near);
    for (const end of pair) {
      end.on("error", () => pair.forEach((each) => each.destroy()));
      end.on("close", () => pairs.delete(pair));
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = () => pairs.forEach((pair) => pair.forEach((end) => end.destroy()));
  finallyDo(t, () => {
    cut();
    server.close();
  });
  /** The network takes what is sent and says nothing, until it is cut. */
  const silence = () => pairs.forEach(([near, far]) => far.unpipe(near));
  const client = `127.0.0.1:${server.address().port}`;
  return { http: `http://${client}`, ws: `ws://${client}/graphql`, cut, silence };
}
