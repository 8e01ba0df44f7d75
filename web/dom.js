/** The two things that every view does with the document: find an element, and make one. */

/**
 * The element with this id, which index.html is known to hold.
 *
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`index.html has no element with the id ${id}`);
  return element;
}

/**
 * A new element. Text is only ever set as text: nothing that a message holds becomes markup.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | boolean>} attributes `true` sets an empty one, `false` none
 * @param {...(Node | string)} children
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/** Sets the text only where it changed, so that a selection in it survives a refresh. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
