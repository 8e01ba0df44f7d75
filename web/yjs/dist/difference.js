/** What a document holds and a log lacks. */
import * as Y from "yjs";
/**
 * An update with everything in `doc` that the given updates do not have, or null when they have it
 * all. Deleted text counts: a state vector says nothing of deletions, so they are compared as well.
 */
export function difference(doc, updates) {
    const theirs = new Y.Doc();
    try {
        if (updates.length > 0)
            Y.applyUpdate(theirs, Y.mergeUpdates([...updates]));
        const ours = Y.encodeStateAsUpdate(doc, Y.encodeStateVector(theirs));
        return Y.snapshotContainsUpdate(Y.snapshot(theirs), ours) ? null : ours;
    }
    finally {
        theirs.destroy();
    }
}
/** Whether a document has nothing in it, not even traces of what was deleted. */
export function isBlank(doc) {
    return Y.decodeStateVector(Y.encodeStateVector(doc)).size === 0;
}
