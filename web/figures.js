/** The figures at the top of the page: a subscription to `stats`, while the page is seen. */

import { byId, setText } from "./dom.js";
import { bytes, count, milliseconds, rate } from "./format.js";
import { FIGURES } from "./operations.js";

const HISTORY = 60;

/** @param {import("./client.js").Client} client */
export function figuresView(client) {
  const published = [];
  const delivered = [];
  let stop = null;

  /** @param {import("./operations.js").FiguresSubscription["stats"]} stats */
  function show(stats) {
    byId("tiles").hidden = false;
    setText(byId("stat-published"), rate(stats.publishedPerSecond));
    setText(byId("stat-delivered"), rate(stats.deliveredPerSecond));
    setText(byId("stat-dropped"), rate(stats.droppedPerSecond));
    setText(byId("stat-p50"), milliseconds(stats.deliveryP50Ms));
    setText(byId("stat-p99"), milliseconds(stats.deliveryP99Ms));
    setText(byId("stat-connections"), count(stats.connections));
    setText(byId("stat-subscriptions"), count(stats.subscriptions));
    setText(byId("stat-kept"), bytes(stats.keptBytes));
    setText(byId("stat-topics"), count(stats.topics));
    draw(byId("spark-published"), published, stats.publishedPerSecond);
    draw(byId("spark-delivered"), delivered, stats.deliveredPerSecond);
  }

  return {
    start() {
      stop ??= client.start({ query: FIGURES }, {
        next: ({ data }) => data && show(data.stats),
        // Not an admin: the figures are not for this reader, the rest of the page is.
        error: () => {
          stop = null;
          byId("tiles").hidden = true;
        },
        complete: () => (stop = null),
      }, { resumable: false, repeatable: true });
    },
    stop() {
      stop?.();
      stop = null;
    },
  };
}

function draw(spark, history, value) {
  history.push(value);
  if (history.length > HISTORY) history.shift();
  const top = Math.max(...history, 1);
  const start = HISTORY - history.length;
  const points = history.map((each, index) => `${start + index} ${19 - (each / top) * 18}`);
  const line = `M${points.join("L")}`;
  const [area, stroke] = spark.children;
  area.setAttribute("d", `${line}V20H${start}Z`);
  stroke.setAttribute("d", line);
}
