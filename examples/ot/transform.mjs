/**
 * Operational transformation of plain text. An operation is `{insert: {at, text}}` or
 * `{delete: {at, count}}`, as in schema/examples/documents.graphql; places are UTF-16 units.
 */

/** The text after some operations, in order. */
export function apply(text, operations) {
  for (const { insert, delete: gone } of operations) {
    if (insert) text = text.slice(0, insert.at) + insert.text + text.slice(insert.at);
    else text = text.slice(0, gone.at) + text.slice(gone.at + gone.count);
  }
  return text;
}

/**
 * Two lists of operations that were made on the same text become two that follow each other:
 * `apply(apply(text, earlier), later')` is `apply(apply(text, later), earlier')`. Where both insert
 * at one place, the text of the earlier one comes first.
 *
 * @returns {[object[], object[]]} earlier', later'
 */
export function transform(earlier, later) {
  if (earlier.length === 0 || later.length === 0) return [earlier, later];
  if (earlier.length === 1 && later.length === 1) return transformPair(earlier[0], later[0]);
  if (earlier.length > 1) {
    const [first, ...rest] = earlier;
    const [firstAfter, laterAfter] = transform([first], later);
    const [restAfter, laterAtLast] = transform(rest, laterAfter);
    return [[...firstAfter, ...restAfter], laterAtLast];
  }
  const [first, ...rest] = later;
  const [earlierAfter, firstAfter] = transform(earlier, [first]);
  const [earlierAtLast, restAfter] = transform(earlierAfter, rest);
  return [earlierAtLast, [...firstAfter, ...restAfter]];
}

function transformPair(earlier, later) {
  if (earlier.insert && later.insert) {
    return earlier.insert.at <= later.insert.at
      ? [[earlier], [moved(later.insert, earlier.insert.text.length)]]
      : [[moved(earlier.insert, later.insert.text.length)], [later]];
  }
  if (earlier.insert) return insertAndDelete(earlier.insert, later.delete);
  if (later.insert) return insertAndDelete(later.insert, earlier.delete).reverse();
  return [without(earlier.delete, later.delete), without(later.delete, earlier.delete)];
}

const moved = ({ at, text }, by) => ({ insert: { at: at + by, text } });

function insertAndDelete(insert, { at, count }) {
  const { length } = insert.text;
  if (insert.at <= at) return [[{ insert }], [{ delete: { at: at + length, count } }]];
  if (insert.at >= at + count) return [[moved(insert, -count)], [{ delete: { at, count } }]];
  // New text inside of what goes: it stays, and what goes becomes two.
  const before = insert.at - at;
  const parts = [{ at, count: before }, { at: at + length, count: count - before }];
  return [[moved(insert, -before)], parts.map((part) => ({ delete: part }))];
}

/** What is left to delete when others are gone already. */
function without({ at, count }, gone) {
  const end = Math.min(at + count, gone.at + gone.count);
  const both = Math.max(0, end - Math.max(at, gone.at));
  if (both === count) return [];
  const before = Math.min(Math.max(at - gone.at, 0), gone.count);
  return [{ delete: { at: at - before, count: count - both } }];
}
