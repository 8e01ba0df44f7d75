/** The form that publishes one message. */

import { byId, setText } from "./dom.js";
import { faultCode, faultText } from "./faults.js";
import { timeOfDay } from "./format.js";
import { parseTyped } from "./json.js";
import { PUBLISH } from "./operations.js";

/** Which field an error speaks about. */
const FIELD_OF_CODE = {
  BAD_TOPIC: "publish-topic",
  BAD_PAYLOAD: "publish-payload",
  PAYLOAD_TOO_LARGE: "publish-payload",
};

/** @param {import("./client.js").Client} client */
export function publishView(client) {
  const topic = byId("publish-topic");
  const payload = byId("publish-payload");
  payload.value = '{\n  "text": "Hello"\n}';

  async function publish() {
    say("", false);
    const typed = check();
    if (!typed) return;
    const key = byId("publish-key").value;
    const variables = { topic: topic.value.trim(), payload: typed.value, key: key || null };
    try {
      // With an id the broker takes it once, so that it may be sent again after a reconnect.
      const operation = { query: PUBLISH, variables: { ...variables, id: randomId() } };
      const { publish: receipt } = await client.request(operation);
      say(`Published at ${timeOfDay(receipt.publishedAt)}, cursor ${receipt.cursor}`, false);
    } catch (errors) {
      const field = FIELD_OF_CODE[faultCode(errors)];
      if (field) point(field, faultText(errors));
      else say(faultText(errors), true);
    }
  }

  /** The payload as a value, or `null` once every field that is wrong says why. */
  function check() {
    const noTopic = topic.value.trim() === "" && "A message needs a topic, such as quotes.AAPL.";
    const typed = parseTyped(payload.value);
    point("publish-topic", noTopic || "");
    point("publish-payload", typed.error ?? "");
    if (noTopic) topic.focus();
    else if ("error" in typed) payload.focus();
    return noTopic || "error" in typed ? null : typed;
  }

  byId("publish").addEventListener("submit", (event) => {
    event.preventDefault();
    publish();
  });
  payload.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    publish();
  });
  // Once a field was called wrong, say at once when it is right.
  payload.addEventListener("input", () => {
    if (payload.ariaInvalid === "true") point(payload.id, parseTyped(payload.value).error ?? "");
  });
  topic.addEventListener("input", () => point(topic.id, ""));

  return {
    /** Offers the topic that is looked at as the one to publish to. */
    suggest(name) {
      topic.value = name;
      point(topic.id, "");
    },
  };
}

function say(text, wrong) {
  const status = byId("publish-status");
  status.classList.toggle("fault", wrong);
  setText(status, text);
}

/** Says under a field what is wrong with it; an empty text says that nothing is. */
export function point(id, text) {
  const fault = byId(`${id}-fault`);
  byId(id).setAttribute("aria-invalid", String(text !== ""));
  fault.hidden = text === "";
  setText(fault, text);
}

/** Not `crypto.randomUUID`, which pages served without TLS do not have. */
function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
