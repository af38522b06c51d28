// What trials have kept: pictures are shown, other files named.
import { fillPicture, newPicture } from "./classification.js";
import { frame, keptFor } from "./frame.js";
import { bytesText, counted } from "./scale.js";
import { make, rows, write } from "./svg.js";

export function artifacts(container, study) {
  container.hidden = !study.artifacts.length;
  if (container.hidden) return;
  const kept = keptFor(container, () => {
    const made = frame(container, "artifacts", "Artifacts");
    made.pictures = make("ul", "pictures large");
    made.files = make("ul", "plain");
    made.body.append(made.pictures, made.files);
    return made;
  });
  const pictures = study.artifacts.filter((one) => one.image), files = study.artifacts.filter((one) => !one.image);
  write(kept.summary, [pictures.length && counted(pictures.length, "picture"), files.length && counted(files.length, "other file")].filter(Boolean).join(" and ") + ".");
  const text = ({ trial, name, bytes }) => `trial ${trial}: ${name}, ${bytesText(bytes)}`;
  rows(kept.pictures, pictures, newPicture, (item, one) => fillPicture(item, one.image, one.name, text(one)));
  rows(kept.files, files, () => make("li"), (item, one) => write(item, text(one)));
}
