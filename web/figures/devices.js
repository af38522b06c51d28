// The devices beside each other: what each is, did, and how fast it is.
import { frame, keptFor, scrolled } from "./frame.js";
import { counted, numberText, secondsText } from "./scale.js";
import { make, rows, set, write } from "./svg.js";

const COLUMNS = [
  ["device", (device) => device.name, null],
  ["kind", (device) => device.kind || "\u2013", null],
  ["trials", (device) => numberText(device.trials), (device) => device.trials],
  ["failures", (device) => numberText(device.failures), (device) => device.failures],
  ["hours", (device) => (device.hours === null ? "\u2013" : device.hours.toFixed(device.hours < 10 ? 2 : 1)), (device) => device.hours],
  ["time per epoch", (device) => secondsText(device.seconds_per_epoch), (device) => device.seconds_per_epoch],
  ["images/s", (device) => (device.images_per_second === null ? "\u2013" : Math.round(device.images_per_second).toLocaleString("en")), (device) => device.images_per_second],
];

export function devices(container, study) {
  const kept = keptFor(container, () => {
    const made = frame(container, "devices", "Devices");
    made.table = make("table", "", make("thead", "", make("tr")), make("tbody"));
    made.body.append(scrolled(made.table, "Devices"));
    return made;
  });
  write(kept.summary, devicesSummary(study.devices));
  kept.body.hidden = !study.devices.length;
  rows(kept.table.tHead.rows[0], COLUMNS, () => set(make("th"), { scope: "col" }), (cell, [name, , number]) => {
    write(cell, name);
    cell.className = number ? "number" : "";
  });
  const most = COLUMNS.map(([, , number]) => (number ? Math.max(0, ...study.devices.map((device) => number(device) || 0)) : 0));
  rows(kept.table.tBodies[0], study.devices, () => make("tr"), (row, device) => {
    rows(row, COLUMNS, () => make("td", "", make("span", "text"), set(make("span", "meter"), { "aria-hidden": "true" })), (cell, [, text, number], column) => {
      write(cell.firstChild, text(device));
      cell.className = number ? "number" : column ? "" : "name";
      const share = number && most[column] ? (number(device) || 0) / most[column] : 0;
      cell.lastChild.style.width = (100 * share).toFixed(1) + "%";
      cell.lastChild.hidden = !number;
    });
  });
}

function devicesSummary(all) {
  const fast = all.filter((device) => device.images_per_second).sort((a, b) => b.images_per_second - a.images_per_second);
  if (!all.length) return "No device has taken part.";
  const trials = all.reduce((sum, device) => sum + device.trials, 0);
  const start = `${counted(all.length, "device")} ran ${counted(trials, "trial")}.`;
  if (fast.length < 2) return start;
  const [first, last] = [fast[0], fast[fast.length - 1]];
  return `${start} ${first.name} is the fastest, ${numberText(+(first.images_per_second / last.images_per_second).toPrecision(2))} times as fast as ${last.name}.`;
}
