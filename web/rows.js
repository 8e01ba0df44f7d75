/**
 * A list that shows the newest entry on top, keeps a bounded number of them, and touches the
 * document ten times a second at most, however fast they come.
 */

const ROWS_MAX = 200;
const FLUSH_EVERY_MS = 100;
/** As in rows.css: what a row leaves free at its sides, and the advance of its type. */
const ROW_PADDING_PX = 32;
const CHARACTER_PX = 7.5;

/** How many characters of a payload fit beside each other in such a list. */
export function columnsOf(list) {
  return Math.max(24, Math.floor((list.clientWidth - ROW_PADDING_PX) / CHARACTER_PX));
}

export class Rows {
  #list;
  #onChange;
  #pending = [];
  #timer = 0;
  #flushedAt = 0;
  #held = 0;
  #paused = false;

  /**
   * @param {HTMLElement} list
   * @param {(shown: number) => void} onChange told how many rows stand there after a change
   */
  constructor(list, onChange) {
    this.#list = list;
    this.#onChange = onChange;
  }

  get paused() {
    return this.#paused;
  }

  /** How many entries came since the pause began, those no longer held included. */
  get held() {
    return this.#held;
  }

  /**
   * Adds an entry. It is only built if it is still among the newest when it is shown.
   *
   * @param {() => HTMLElement} build
   */
  push(build) {
    this.#pending.push(build);
    if (this.#pending.length > ROWS_MAX) this.#pending.shift();
    if (this.#paused) this.#held += 1;
    if (this.#timer) return;
    const wait = Math.max(0, this.#flushedAt + FLUSH_EVERY_MS - performance.now());
    this.#timer = setTimeout(() => this.#flush(), wait);
  }

  pause(paused) {
    this.#paused = paused;
    this.#held = 0;
    this.#flush();
  }

  clear() {
    this.#pending = [];
    this.#held = 0;
    this.#list.replaceChildren();
    this.#onChange(0);
  }

  #flush() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#flushedAt = performance.now();
    if (!this.#paused) {
      this.#list.prepend(...this.#pending.reverse().map((build) => build()));
      this.#pending = [];
      while (this.#list.childElementCount > ROWS_MAX) this.#list.lastElementChild.remove();
    }
    this.#onChange(this.#list.childElementCount);
  }
}
