/** The audits of graphql-http: what the GraphQL-over-HTTP specification asks of a server. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { auditServer } from "graphql-http";
import { startBroker } from "./broker.mjs";

test("every audit passes, those that only MAY included", async (t) => {
  const broker = await startBroker(t);
  const results = await auditServer({ url: broker.graphql });
  const said = ({ id, name, status, reason }) => `${id} ${name}: ${status} ${reason ?? ""}`;
  const failed = results.filter(({ status }) => status !== "ok");
  t.diagnostic(`${results.length - failed.length} of ${results.length} audits pass`);
  assert.deepEqual(failed.map(said), []);
  assert.ok(results.length >= 60, `${results.length} audits`);
});
