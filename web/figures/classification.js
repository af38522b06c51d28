// An image model on its test images: confusion matrix, classes, calibration, hardest images.
import { bottomAxis, clearPlot, dataTable, frame, keptFor, leftAxis, newPlot, scrolled, setMarks } from "./frame.js";
import { counted, linearScale, numberText, percentText } from "./scale.js";
import { fillTable, make, rows, set, shape, write } from "./svg.js";

export function classification(container, study) {
  const model = study.classification;
  container.hidden = !model;
  if (!model) return;
  const kept = keptFor(container, () => newClassification(container));
  const images = model.of.reduce((sum, one) => sum + one.images, 0), accuracy = model.accuracy;
  write(kept.summary, `${percentText(accuracy[1])} of ${counted(images, "image")} of the ${model.split} split are right (95 % interval ${percentText(accuracy[0])} to ${percentText(accuracy[2])}).`);
  showConfusion(kept.confusion, model);
  fillTable(kept.classes, ["class", "precision", "recall", "images"], model.of.map((one) => [one.class, percentText(one.precision), percentText(one.recall), numberText(one.images)]));
  showCalibration(kept, model);
  showHardest(kept, model);
}

function newClassification(container) {
  const made = frame(container, "classification", "The model on its test images");
  made.confusion = make("table", "confusion", make("thead", "", make("tr")), make("tbody"));
  made.classes = make("table");
  made.plot = newPlot("bins of confidence");
  made.calibrationText = make("p", "summary");
  made.hardest = make("ul", "pictures");
  made.hardestPart = make("div", "wide", make("h4", "", "Hardest images"), made.hardest);
  const panel = (title, ...parts) => make("div", "", make("h4", "", title), ...parts);
  made.calibration = panel("Calibration", made.calibrationText, made.plot.root);
  made.body.append(
    panel("Confusion matrix", make("p", "summary", "Images by true class (row) and answer (column)."), scrolled(made.confusion, "Confusion matrix")),
    panel("Precision and recall", scrolled(made.classes, "Precision and recall by class")),
    made.calibration,
    made.hardestPart,
  );
  return made;
}

function showConfusion(table, { classes, confusion }) {
  rows(table.tHead.rows[0], ["true \\ answer", ...classes], () => set(make("th", "", make("span")), { scope: "col" }), (cell, name) => write(cell.firstChild, name));
  rows(table.tBodies[0], confusion, () => make("tr", "", set(make("th"), { scope: "row" })), (row, counts, truth) => {
    write(row.firstChild, classes[truth]);
    const total = counts.reduce((sum, count) => sum + count, 0);
    while (row.children.length <= counts.length) row.append(make("td"));
    counts.forEach((count, answer) => {
      const cell = row.children[answer + 1], share = total ? count / total : 0;
      write(cell, count);
      cell.className = (answer === truth ? "right" : count ? "wrong" : "none") + " l" + Math.min(4, Math.ceil(share ** 0.6 * 4));
      cell.title = `${counted(count, "image")} of ${classes[truth]}: answered ${classes[answer]} (${percentText(share)})`;
    });
  });
}

function showCalibration(kept, { calibration }) {
  const bins = calibration.filter((bin) => bin.images);
  kept.calibration.hidden = !bins.length;
  if (!bins.length) return;
  const total = bins.reduce((sum, bin) => sum + bin.images, 0);
  const error = bins.reduce((sum, bin) => sum + (bin.images / total) * Math.abs(bin.confidence - bin.accuracy), 0);
  const said = `On average its confidence is ${numberText(+(100 * error).toPrecision(2))} points away from how often it is right.`;
  write(kept.calibrationText, said);
  const { width, height } = clearPlot(kept.plot, 260, said), box = { left: 50, right: Math.min(width - 10, 380), top: 22, bottom: height - 42 };
  const x = linearScale(0, 1, box.left, box.right), y = linearScale(0, 1, box.bottom, box.top), { back, front } = kept.plot;
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((tick) => [tick, 100 * tick + " %"]);
  leftAxis(back, y, ticks, box, "right");
  bottomAxis(back, x, ticks, box, "confidence");
  back.append(shape("line", { class: "baseline", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }));
  const most = Math.max(...bins.map((bin) => bin.images)), xs = bins.map((bin) => x(bin.confidence)), ys = bins.map((bin) => y(bin.accuracy));
  front.append(shape("path", { class: "curve done", d: "M" + xs.map((px, i) => px.toFixed(1) + "," + ys[i].toFixed(1)).join("L") }));
  bins.forEach((bin, i) => front.append(shape("circle", { class: "bin", cx: xs[i], cy: ys[i], r: 3 + 6 * Math.sqrt(bin.images / most) })));
  const say = (i) => `confidence ${percentText(bins[i].confidence)}: right ${percentText(bins[i].accuracy)}\n${counted(bins[i].images, "image")}`;
  setMarks(kept.plot, { xs, ys, say, key: (i) => i, press: null });
  dataTable(kept, "Calibration as a table", ["confidence", "right", "images"], () => bins.map((bin) => [percentText(bin.confidence), percentText(bin.accuracy), numberText(bin.images)]));
}

function showHardest(kept, { hardest }) {
  kept.hardestPart.hidden = !hardest.length;
  rows(kept.hardest, hardest, newPicture, (item, one) => {
    fillPicture(item, one.image, `an image of ${one.label}`, `${one.label}: answered ${one.answer}, ${percentText(one.probability)}`);
  });
}

export const newPicture = () => make("li", "", make("img"), make("span", "caption"));

// Only pictures that are in the document itself are shown: nothing is fetched.
export function fillPicture(item, image, alt, text) {
  const [picture, caption] = item.children, isShown = /^data:image\/(png|jpeg|webp|gif);base64,/.test(image || "");
  picture.hidden = !isShown;
  if (isShown && picture.src !== image) picture.src = image;
  picture.alt = alt;
  write(caption, text);
}
