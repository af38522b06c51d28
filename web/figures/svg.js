// Elements: everything that comes from the store is written as text, never as HTML.

// An element of HTML, with a class ("" for none) and children: elements or texts.
export function make(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// An element of SVG.
export function shape(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  set(node, attributes || {});
  node.append(...children);
  return node;
}

// Set attributes; null removes one. Never "style": a strict policy forbids it as an attribute.
export function set(node, attributes) {
  for (const name in attributes) {
    if (attributes[name] === null) node.removeAttribute(name);
    else if (node.getAttribute(name) !== String(attributes[name])) node.setAttribute(name, attributes[name]);
  }
  return node;
}

// Write a text. An unchanged one is not written again, because a screen reader would read it again.
export function write(node, text) {
  const wanted = text === null || text === undefined ? "" : String(text);
  if (node.textContent !== wanted) node.textContent = wanted;
  return node;
}

// Show a list of items in rows that are reused, so that the focus is not lost.
export function rows(list, items, create, fill) {
  while (list.children.length > items.length) list.lastChild.remove();
  items.forEach((item, number) => {
    if (!list.children[number]) list.append(create());
    fill(list.children[number], item, number);
  });
}

export function button(className, text, press) {
  const node = make("button", className, text);
  node.type = "button";
  node.addEventListener("click", press);
  return node;
}

// A table of texts; numbers are aligned at the right.
export function fillTable(table, headings, lines) {
  if (!table.tHead) table.append(make("thead", "", make("tr")), make("tbody"));
  rows(table.tHead.rows[0], headings, () => set(make("th"), { scope: "col" }), (cell, text, column) => {
    write(cell, text);
    cell.className = lines.length && isNumber(lines[0][column]) ? "number" : "";
  });
  rows(table.tBodies[0], lines, () => make("tr"), (row, line) => {
    rows(row, line, () => make("td"), (cell, value) => {
      write(cell, value);
      cell.className = isNumber(value) ? "number" : "";
    });
  });
}

const isNumber = (text) => /^-?[\d.,]+(e-?\d+)?( %| s| min| h| days)?$/.test(text);

// A colour of the style sheet, for a canvas.
export const ink = (node, name) => getComputedStyle(node).getPropertyValue(name).trim();

let unique = 0;
export const newId = () => "f" + ++unique;
