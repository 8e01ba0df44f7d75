/** The editor: any document over the same socket, and the log of what came back. */

import { byId, make, setText } from "./dom.js";
import { faultText } from "./faults.js";
import { count, timeOfDay } from "./format.js";
import { jsonView, parseTyped } from "./json.js";
import { point } from "./publish.js";
import { Rows, columnsOf } from "./rows.js";

const EXAMPLES = [
  {
    name: "Subscribe",
    query: `# Every message, after the newest one of each topic.
subscription Everything($topics: [String!]!) {
  messages(topics: $topics, last: 1) {
    topic
    cursor
    publishedAt
    payload
  }
}
`,
    variables: '{ "topics": [">"] }',
  },
  {
    name: "Publish",
    query: `mutation Publish($topic: String!, $payload: JSON!) {
  publish(topic: $topic, payload: $payload) {
    topic
    cursor
    publishedAt
  }
}
`,
    variables: '{\n  "topic": "greetings.all",\n  "payload": { "text": "Hello" }\n}',
  },
  {
    name: "Look around",
    query: `query LookAround {
  broker {
    version
    node
    engine
    startedAt
  }
  topics(first: 10) {
    nodes {
      name
      messages
      bytes
      subscribers
      lastPublishedAt
    }
  }
}
`,
    variables: "{}",
  },
];

/** @param {import("./client.js").Client} client */
export function queryView(client) {
  const rows = new Rows(byId("results"), (shown) => (byId("results-empty").hidden = shown > 0));
  let stop = null;
  let results = 0;

  function run() {
    const text = byId("variables").value.trim();
    const variables = text === "" ? { value: {} } : parseTyped(text);
    point("variables", variables.error ?? "");
    if ("error" in variables) return byId("variables").focus();
    const query = byId("query").value;
    const streams = isSubscription(query);
    results = 0;
    begin(client.start({ query, variables: variables.value }, {
      next: receive,
      error: (errors) => {
        rows.push(() => faultRow(errors));
        end("Ended with an error");
      },
      complete: () => end(streams ? "Completed by the server" : "Done"),
    }, { resumable: streams, repeatable: streams }));
  }

  function begin(stopOperation) {
    stop = stopOperation;
    setText(byId("run"), "Stop");
    setText(byId("run-status"), "Running");
  }

  function end(words) {
    stop = null;
    setText(byId("run"), "Run");
    setText(byId("run-status"), results > 1 ? `${words}, ${count(results)} results` : words);
  }

  function receive(result) {
    results += 1;
    const at = new Date();
    rows.push(() => resultRow(result, at));
  }

  function toggle() {
    if (!stop) return run();
    stop();
    end("Stopped");
  }

  function load({ query, variables }) {
    byId("query").value = query;
    byId("variables").value = variables;
    point("variables", "");
  }

  byId("examples").append(...EXAMPLES.map((example) => {
    const button = make("button", { type: "button" }, example.name);
    button.addEventListener("click", () => load(example));
    return make("li", {}, button);
  }));
  load(EXAMPLES[0]);

  const editor = byId("editor");
  editor.addEventListener("submit", (event) => {
    event.preventDefault();
    toggle();
  });
  editor.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    if (stop) toggle();
    run();
  });
  byId("results-clear").addEventListener("click", () => rows.clear());
}

/** Whether the first operation of the document is a subscription. */
function isSubscription(document) {
  const bare = document.replace(/#.*/g, "").replace(/"""[\s\S]*?"""|"(\\.|[^"\\])*"/g, '""');
  return /\b(query|mutation|subscription)\b|\{/.exec(bare)?.[0] === "subscription";
}

function resultRow({ data, errors, extensions }, at) {
  const meta = make("div", { class: "meta" }, make("time", {}, timeOfDay(at)));
  if (extensions) meta.append(make("span", { class: "mono" }, JSON.stringify(extensions)));
  const row = make("li", {}, meta);
  if (errors?.length) row.append(make("pre", { class: "fault" }, faultText(errors)));
  if (data) row.append(make("pre", {}, jsonView(data, columnsOf(byId("results")))));
  return row;
}

function faultRow(errors) {
  return make("li", { class: "fault" },
    make("div", { class: "meta" }, make("time", {}, timeOfDay(new Date()))),
    make("pre", {}, faultText(errors)));
}
