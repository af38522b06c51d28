// What a person may change: each is asked of the server twice, and the first answer is its question.
import { make, set } from "./figures/svg.js";
import { post } from "./posting.js";

const tag = (name, attributes, ...children) => set(make(name, "", ...children), attributes);

function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function send(body) {
  const answer = await post("action", JSON.stringify(body));
  const text = await answer.text();
  try {
    return JSON.parse(text);
  } catch (error) {
    return { problem: text.trim() || "the page's server answered " + answer.status };
  }
}

// The second question. It gives true only for its own button: Escape and the other one say no.
function confirmed(root, { question, button }) {
  const dialog = tag("dialog", { class: "confirm", "aria-labelledby": "action-question" });
  if (!dialog.showModal) return Promise.resolve(window.confirm(question));
  const no = tag("button", { type: "button" }, "Leave it as it is");
  const yes = tag("button", { type: "button", class: "yes" }, button);
  dialog.append(tag("p", { id: "action-question" }, question), tag("p", { class: "buttons" }, no, yes));
  root.append(dialog);
  return new Promise((resolve) => {
    yes.addEventListener("click", () => dialog.close("yes"));
    no.addEventListener("click", () => dialog.close(""));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    dialog.showModal();
    no.focus();
  });
}

function field(label, name, attributes) {
  const input = tag(attributes.rows ? "textarea" : "input", { name, ...attributes });
  return tag("label", {}, label + " ", input);
}

// Show the actions in root, if the page was started with them; nothing otherwise. They are about what
// the event "shown" of the document says that is looked at.
export function actions(root) {
  let shown = { study: null, trial: null };
  const status = tag("p", { role: "status", class: "said" });
  const groups = [];
  let noteId = newId(); // of this text, so that a note that is sent again after a lost reply is kept once

  async function perform(form, body) {
    const before = document.activeElement;
    for (const button of form.querySelectorAll("button")) button.disabled = true;
    status.textContent = "";
    let answer;
    try {
      answer = await send(body);
      if (answer.question && await confirmed(root, answer)) answer = await send({ ...body, confirmed: true });
      if (answer.said) {
        form.reset();
        noteId = newId();
      }
    } catch (error) {
      answer = { problem: "the page's server does not answer: ask again when it is back" };
    }
    for (const button of form.querySelectorAll("button")) button.disabled = false;
    if (document.activeElement === document.body) before.focus(); // a disabled button loses the focus
    status.classList.toggle("refused", Boolean(answer.problem));
    status.textContent = answer.problem || answer.said || "nothing was changed";
  }

  // A form; its buttons are [label, action], and body gives what the action is about.
  function form(needs, fields, buttons, body) {
    const node = tag("form", { class: "action" }, ...fields);
    for (const [label, action] of buttons) {
      node.append(" ", tag("button", { type: "submit", value: action }, label));
    }
    // Enter in a field clicks the first button. Browsers of 2021 do not all say which was clicked.
    let action = null;
    node.addEventListener("click", ({ target }) => { if (target.closest("button")) action = target.closest("button").value; });
    node.addEventListener("input", () => { noteId = newId(); });
    node.addEventListener("submit", (event) => {
      event.preventDefault();
      perform(node, { action, ...body(new FormData(node)) });
    });
    groups.push({ node, needs });
    return node;
  }

  const study = () => ({ study: shown.study });
  const trial = () => ({ study: shown.study, trial: shown.trial });
  const trials = tag("input", { name: "trials", type: "number", min: 1, required: "" });
  const devices = tag("datalist", { id: "action-devices" });
  const note = () => field("Note", "text", { rows: 2, required: "", maxlength: 2000 });
  const noteBody = (about) => (data) => ({ ...about(), text: data.get("text"), id: noteId });

  const forms = [
    form("study", [], [["Finish the study early", "finish"], ["Cancel the study", "cancel study"]], study),
    form("study", [tag("label", {}, "Trials in all ", trials)], [["Raise the budget", "extend"]],
      (data) => ({ ...study(), trials: Number(data.get("trials")) })),
    form("study", [field("Configuration", "config", { required: "", placeholder: "lr=0.01 optimizer.kind=sgd", autocomplete: "off" })],
      [["Try it next", "enqueue"]], (data) => ({ ...study(), config: data.get("config") })),
    form("study", [note()], [["Keep the note on the study", "note"]], noteBody(study)),
    form("trial", [], [["Cancel this trial", "cancel trial"]], trial),
    form("trial", [note()], [["Keep the note on this trial", "note"]], noteBody(trial)),
    form("device", [field("Device", "device", { list: "action-devices", required: "", autocomplete: "off" })],
      [["Pause", "pause"], ["Drain", "drain"], ["Resume", "resume"]], (data) => ({ device: data.get("device") })),
  ];
  const section = tag("details", { class: "actions" }, tag("summary", {}, "Change something"), devices, ...forms);

  function update({ studies, trial: one }) {
    const study = studies.length === 1 ? studies[0] : null;
    shown = one
      ? { study: one.study, trial: one.purpose === "search" ? one.trial : null }
      : { study: study && study.name, trial: null };
    const has = { study: !one && study !== null, trial: shown.trial !== null, device: true };
    for (const { node, needs } of groups) node.hidden = !has[needs];
    if (study) {
      trials.placeholder = "now " + study.counts.budget;
      const names = study.devices.map((device) => device.name);
      devices.replaceChildren(...names.map((name) => tag("option", { value: name })));
    }
  }

  update({ studies: [], trial: null });
  document.addEventListener("shown", (event) => update(event.detail));
  fetch("action", { credentials: "same-origin" })
    .then((answer) => answer.json())
    .then(({ allowed }) => { if (allowed) root.append(section, status); });
}
