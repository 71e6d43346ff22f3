// Elements and numbers as the pages write them.

/** An element: `make("a", {href: "#"}, "text", child)`; a property that is a function listens. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (typeof value === "boolean") element.toggleAttribute(name, value);
    else if (value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

export const missing = "–";
/** A number with its thousands; one that nothing counts up to in short. */
export const count = (value) =>
  value == null ? missing : Math.abs(value) < 1e15 ? value.toLocaleString("en") : value.toExponential(2);
export const percent = (value, digits = 0) =>
  value == null ? missing : `${Math.abs(value) < 1e6 ? (100 * value).toFixed(digits) : (100 * value).toExponential(2)} %`;

/** Focus goes to the next or previous of `items` with the arrow keys, to the ends with Home and End. */
export function moveWithArrows(event, items, { sideways = false } = {}) {
  const [back, forth] = sideways ? ["ArrowLeft", "ArrowRight"] : ["ArrowUp", "ArrowDown"];
  const at = items.indexOf(document.activeElement);
  const to = { [back]: at - 1, [forth]: at + 1, Home: 0, End: items.length - 1 }[event.key];
  if (at < 0 || to === undefined) return null;
  event.preventDefault();
  const item = items[Math.max(0, Math.min(items.length - 1, to))];
  item.focus();
  return item;
}
