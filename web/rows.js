/**
 * A list that shows the newest entry on top, keeps a bounded number of them, and touches the
 * document at most once a frame however fast they come.
 */

export const ROWS_MAX = 200;
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
  #frame = 0;
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
   * Adds an entry. It is only built if it is still among the newest when its frame comes.
   *
   * @param {() => HTMLElement} build
   */
  push(build) {
    this.#pending.push(build);
    if (this.#pending.length > ROWS_MAX) this.#pending.shift();
    if (this.#paused) this.#held += 1;
    this.#frame ||= requestAnimationFrame(() => this.#flush());
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
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    if (!this.#paused) {
      this.#list.prepend(...this.#pending.reverse().map((build) => build()));
      this.#pending = [];
      while (this.#list.childElementCount > ROWS_MAX) this.#list.lastElementChild.remove();
    }
    this.#onChange(this.#list.childElementCount);
  }
}
