/** Chance that can be repeated. */

/** Random numbers from a seed (mulberry32): the same seed, the same numbers. */
export function randomFrom(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (count) => Math.floor(next() * count);
  const pick = (list) => list[below(list.length)];
  return { next, below, pick };
}

/** A seed for this run, printed so that a failing one can be repeated: TIDINGS_SEED=… */
export function seedOf(t) {
  const seed = Number(process.env.TIDINGS_SEED ?? Math.floor(Math.random() * 2 ** 32));
  t.diagnostic(`TIDINGS_SEED=${seed}`);
  return seed;
}
