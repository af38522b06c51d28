// The best model of a study: it answers for a picture or the browser's camera, and is downloaded.
import { button, make, set, write } from "./figures/svg.js";
import { post } from "./posting.js";

const PAUSE_MS = 250, LOOK_MS = 10000, SIDE = 640, KINDS = "image/jpeg,image/png,image/webp";
const NO_CAMERA = "this browser gives its camera only to pages of this machine, and over HTTPS: run `ssh -L 8765:127.0.0.1:8765 HOST` and open http://127.0.0.1:8765/";
const REFUSED = { NotAllowedError: "the camera was not allowed", NotFoundError: "this device has no camera", NotReadableError: "another program uses the camera" };
const panels = new WeakMap();

// Show the panel of a study; call it again when its figures change. Without a model it is hidden.
export function bestModel(container, study) {
  if (!panels.has(container)) panels.set(container, newPanel(container));
  const panel = panels.get(container), now = [study.name, study.best, study.is_open].join("\n");
  // While the study is open, its best model is stored a little after its best trial is known.
  if (panel.now === now && (!study.is_open || performance.now() - panel.lookedAt < LOOK_MS)) return;
  if (panel.study !== study.name) forget(panel);
  panel.now = now;
  panel.study = study.name;
  panel.lookedAt = performance.now();
  showState(panel, study.name);
}

// Hide the panel while the page shows something else.
function leave(container) {
  const panel = panels.get(container);
  container.hidden = true;
  if (!panel) return;
  stopCamera(panel);
  panel.now = "";
}

document.addEventListener("shown", ({ detail: { studies, trial } }) => {
  const container = document.getElementById("model");
  if (trial === null && studies.length === 1) bestModel(container, studies[0]);
  else leave(container);
});

function newPanel(container) {
  const panel = { container, study: null, now: "", lookedAt: 0, asked: 0, shown: 0, stream: null };
  const file = set(make("input"), { type: "file", accept: KINDS, id: "model-picture" });
  panel.file = file;
  panel.said = make("p", "quiet");
  panel.start = button("", "Start the camera", () => startCamera(panel));
  panel.stop = button("", "Stop the camera", () => stopCamera(panel));
  panel.stop.hidden = true;
  panel.video = set(make("video"), { playsinline: "", muted: "", hidden: "", "aria-label": "What the camera sees" });
  panel.video.muted = true;
  panel.answer = set(make("p", "answer"), { role: "status" });
  panel.problem = set(make("p", "problem"), { role: "status" });
  panel.input = set(make("img"), { alt: "What the model sees of it", hidden: "" });
  panel.top = set(make("ol", "top"), { "aria-label": "The likeliest classes" });
  panel.links = make("p", "links");
  const choose = set(make("label", "", "Choose a picture, or drop one here: "), { for: file.id });
  panel.drop = make("div", "drop", choose, file, " ", panel.start, panel.stop, panel.video);
  const answers = make("div", "answers", panel.input, make("div", "", panel.answer, panel.top));
  const title = set(make("h2", "", "The best model"), { id: "model-title" });
  container.append(set(make("section", "model", title, panel.said, panel.drop, panel.problem, answers, panel.links), { "aria-labelledby": "model-title" }));
  container.hidden = true;
  file.addEventListener("change", () => file.files[0] && askPicture(panel, file.files[0]));
  takeDrops(panel);
  return panel;
}

function takeDrops(panel) {
  const over = (is) => (event) => {
    event.preventDefault();
    panel.drop.classList.toggle("over", is);
  };
  panel.drop.addEventListener("dragover", over(true));
  panel.drop.addEventListener("dragleave", over(false));
  panel.drop.addEventListener("drop", (event) => {
    over(false)(event);
    if (event.dataTransfer.files[0]) askPicture(panel, event.dataTransfer.files[0]);
  });
}

// -- which model -----------------------------------------------------------------------------------

async function showState(panel, name) {
  const query = "?study=" + encodeURIComponent(name);
  const state = await fetch("model/state.json" + query).then((got) => (got.ok ? got.json() : null)).catch(() => null);
  if (panel.study !== name) return;
  if (!state) { panel.now = ""; return; } // the next figures ask again
  if (panel.now === "") return; // the page has left it meanwhile
  panel.container.hidden = !state.model;
  if (!state.model) { stopCamera(panel); return; }
  write(panel.said, state.model);
  const files = [["weights.safetensors", "weights"], ["card.json", "card"], ["model.onnx", "ONNX"], ["card.json", "card of the ONNX file", "&form=onnx"]];
  if (panel.links.childElementCount && panel.links.dataset.study === name) return;
  panel.links.dataset.study = name;
  panel.links.replaceChildren("Download: ");
  files.forEach(([file, text, more], number) => {
    const link = set(make("a", "", text), { href: "model/" + file + query + (more || ""), download: "" });
    panel.links.append(number ? ", " : "", link);
  });
}

function forget(panel) {
  stopCamera(panel);
  panel.shown = panel.asked += 1; // what is still under way is not shown
  panel.file.value = "";
  for (const node of [panel.answer, panel.problem]) write(node, "");
  panel.top.replaceChildren();
  panel.input.hidden = true;
}

// -- asking ----------------------------------------------------------------------------------------

async function askPicture(panel, picture) {
  stopCamera(panel);
  await ask(panel, picture);
}

async function ask(panel, picture) {
  const number = (panel.asked += 1);
  let answer = null, problem = "";
  try {
    const got = await post("predict?study=" + encodeURIComponent(panel.study), picture);
    if (got.ok) answer = await got.json();
    else problem = (await got.text()).trim();
  } catch {
    problem = "no connection: the picture was not answered";
  }
  if (number < panel.shown) return;
  panel.shown = number;
  write(panel.problem, problem);
  if (answer) showAnswer(panel, answer);
}

function showAnswer(panel, answer) {
  // Only the label is read out: the shares change with every picture of a camera.
  write(panel.answer, answer.known ? answer.label : "unknown: " + answer.why.replace(/ \(.*/, ""));
  panel.answer.title = answer.why || "";
  panel.answer.classList.toggle("unknown", !answer.known);
  panel.top.replaceChildren(...answer.top.map((one) => {
    const bar = set(make("progress"), { max: 1, value: one.probability, "aria-hidden": "true" });
    return make("li", "", bar, " " + (100 * one.probability).toFixed(1) + " % " + one.label);
  }));
  panel.input.src = answer.input;
  panel.input.hidden = false;
}

// -- the camera ------------------------------------------------------------------------------------

async function startCamera(panel) {
  const media = navigator.mediaDevices;
  if (!media || !media.getUserMedia) { write(panel.problem, NO_CAMERA); return; }
  panel.start.disabled = true;
  try {
    const stream = await media.getUserMedia({ video: { facingMode: "environment", width: { ideal: SIDE } } });
    showCamera(panel, stream);
    await panel.video.play();
    if (panel.stream === stream) watch(panel, stream);
  } catch (error) {
    stopCamera(panel);
    write(panel.problem, REFUSED[error.name] || "the camera cannot be used: " + error.message);
  } finally {
    panel.start.disabled = false;
  }
}

function showCamera(panel, stream) {
  write(panel.problem, "");
  panel.stream = panel.video.srcObject = stream;
  panel.video.hidden = panel.stop.hidden = false;
  panel.start.hidden = true;
  panel.stop.focus();
}

function stopCamera(panel) {
  if (!panel.stream) return;
  for (const track of panel.stream.getTracks()) track.stop();
  panel.stream = panel.video.srcObject = null;
  const hadFocus = document.activeElement === panel.stop;
  panel.video.hidden = panel.stop.hidden = true;
  panel.start.hidden = false;
  if (hadFocus) panel.start.focus();
}

async function watch(panel, stream) {
  const canvas = document.createElement("canvas");
  while (panel.stream === stream && stream.active) {
    // A page that nobody sees asks nothing.
    if (!document.hidden && panel.video.videoWidth) {
      const picture = await taken(panel.video, canvas);
      if (panel.stream === stream && picture) await ask(panel, picture);
    }
    await new Promise((go) => setTimeout(go, PAUSE_MS));
  }
  if (panel.stream === stream) stopCamera(panel); // it was unplugged
}

function taken(video, canvas) {
  const scale = Math.min(1, SIDE / Math.max(video.videoWidth, video.videoHeight));
  canvas.width = Math.round(video.videoWidth * scale);
  canvas.height = Math.round(video.videoHeight * scale);
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.9));
}
