"use strict";

const REPEAT_MS = 150; // as a keyboard repeats a key that is held
const KEYS = /^[0-9 ]$|^Backspace$/;

let token = null;
let sending = false;
let waiting = null;

async function press(what) {
  if (sending) {
    waiting = what; // what is held repeats: the newest press is enough
    return;
  }
  sending = true;
  try {
    token ??= await (await fetch("csrf")).text();
    const answer = await fetch("press", {
      method: "POST",
      headers: { "X-CSRF-Token": token },
      body: JSON.stringify(what),
    });
    if (answer.ok) return;
    token = null;
    write(element("message"), await answer.text());
  } catch (error) {
    write(element("message"), "no connection to predict-cam: nothing was taken");
  } finally {
    sending = false;
    const next = waiting;
    waiting = null;
    if (next) press(next);
  }
}

function holdable(button, what) {
  let timer = 0;
  const release = () => clearInterval(timer);
  button.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    release();
    press(what());
    timer = setInterval(() => press(what()), REPEAT_MS);
  });
  for (const name of ["pointerup", "pointerleave", "pointercancel", "blur"]) {
    button.addEventListener(name, release);
  }
  // Of a keyboard and a screen reader, which press no pointer.
  button.addEventListener("click", (event) => { if (!event.detail) press(what()); });
}

function part(kind, name, parent) {
  const made = document.createElement(kind);
  made.className = name;
  parent.append(made);
  return made;
}

function classButton(name) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.name = name;
  for (const each of ["key", "name", "count"]) part("span", each, button);
  part("span", "bar", part("span", "track", button));
  holdable(button, () => ({ take: name }));
  return button;
}

function showClasses(teaching) {
  const list = element("classes");
  const buttons = new Map([...list.children].map((each) => [each.dataset.name, each]));
  for (const each of teaching.classes) {
    const button = buttons.get(each.name) ?? list.appendChild(classButton(each.name));
    button.dataset.key = each.key;
    write(button.querySelector(".key"), each.key);
    write(button.querySelector(".name"), each.shown);
    write(button.querySelector(".count"), String(each.count));
    const share = Math.min(1, each.count / teaching.enough);
    button.querySelector(".bar").style.width = 100 * share + "%";
    button.classList.toggle("enough", share === 1);
    button.classList.toggle("chosen", each.name === teaching.chosen);
  }
}

function showTrials(teaching) {
  const list = element("trials");
  while (list.children.length > teaching.accuracies.length) list.lastChild.remove();
  const best = Math.max(...teaching.accuracies.map((each) => each?.share ?? 0));
  teaching.accuracies.forEach((accuracy, number) => {
    let item = list.children[number];
    if (!item) {
      item = part("li", "", list);
      for (const name of ["share", "bar", "number"]) part("span", name, item);
      write(item.lastChild, String(number + 1));
    }
    item.classList.toggle("best", accuracy !== null && accuracy.share === best);
    write(item.firstChild, accuracy ? accuracy.text : "failed");
    item.querySelector(".bar").style.height = 60 * (accuracy?.share ?? 0) + "%";
  });
}

function showTeaching(teaching) {
  element("teaching").hidden = false;
  document.querySelector("main").classList.add("taught");
  showClasses(teaching);
  showTrials(teaching);
  write(element("message"), teaching.typed ?? teaching.message);
  write(element("progress"), teaching.progress);
  document.querySelector("figure").classList.toggle("taken", teaching.has_taken);
}

element("naming").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = element("name").value.trim();
  if (name) press({ choose: name });
  element("name").value = "";
});
holdable(element("undo"), () => ({ undo: "" }));
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, button") && !/^[0-9]$/.test(event.key);
  if (element("teaching").hidden || event.target.id === "name" || typing) return;
  if (event.ctrlKey || event.metaKey || event.altKey || !KEYS.test(event.key)) return;
  const wanted = event.key === " " ? ".chosen" : `[data-key="${event.key}"]`;
  const button = element("classes").querySelector(wanted);
  if (event.key === "Backspace") press({ undo: "" });
  else if (button) press({ take: button.dataset.name });
  event.preventDefault();
});
