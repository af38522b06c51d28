"use strict";
const element = (id) => document.getElementById(id);

function write(node, text) {
  // An unchanged text is not written again: a screen reader would read it again.
  if (node.textContent !== text) node.textContent = text;
}

function row(list, number) {
  if (!list.children[number]) {
    const item = document.createElement("li");
    for (const name of ["name", "share", "track"]) {
      const part = document.createElement(name === "track" ? "div" : "span");
      part.className = name;
      item.append(part);
    }
    const bar = document.createElement("div");
    bar.className = "bar";
    item.lastChild.append(bar);
    list.append(item);
  }
  return list.children[number];
}

function show(result) {
  write(element("label"), result.label);
  write(element("reason"), result.reason);
  element("label").parentNode.classList.toggle("unknown", !result.known);
  const list = element("top");
  result.top.forEach((entry, number) => {
    const item = row(list, number);
    write(item.querySelector(".name"), entry.label);
    write(item.querySelector(".share"), entry.probability);
    item.querySelector(".bar").style.width = 100 * entry.share + "%";
  });
  while (list.children.length > result.top.length) list.lastChild.remove();
  element("input").src = "data:image/png;base64," + result.input;
  element("seen").hidden = !result.input;
  if (result.teaching) showTeaching(result.teaching);
}

let lost = false;

function watch() {
  const labels = new EventSource("labels");
  labels.onmessage = (event) => {
    show(JSON.parse(event.data));
    write(element("state"), "");
  };
  labels.onopen = () => {
    if (lost) element("picture").src = "viewfinder.mjpg?" + Date.now();
    lost = false;
  };
  labels.onerror = () => {
    lost = true;
    write(element("state"), "no connection: predict-cam has ended, or too many people are watching");
    // A browser asks again by itself, unless it was refused.
    if (labels.readyState === EventSource.CLOSED) setTimeout(watch, 5000);
  };
}

watch();
