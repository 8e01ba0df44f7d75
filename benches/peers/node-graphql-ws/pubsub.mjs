// One set of listeners per topic, one Repeater per subscription. A subscription that falls more
// than BEHIND_MAX messages behind loses its oldest ones.
import { Repeater, SlidingBuffer } from '@repeaterjs/repeater';

const BEHIND_MAX = 16384;
const topics = new Map();

export function publish(topic, value) {
  for (const push of topics.get(topic) ?? []) push(value);
}

export function subscribe(topic) {
  return new Repeater(async (push, stop) => {
    const listeners = topics.get(topic) ?? new Set();
    topics.set(topic, listeners);
    const listener = (value) => { push(value); };
    listeners.add(listener);
    await stop;
    listeners.delete(listener);
    if (listeners.size === 0 && topics.get(topic) === listeners) topics.delete(topic);
  }, new SlidingBuffer(BEHIND_MAX));
}
