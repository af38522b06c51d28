// How to run the study again: its file and the command.
import { copied, frame, keptFor } from "./frame.js";
import { make, write } from "./svg.js";

export function again(container, study) {
  container.hidden = !study.study_file && !study.command;
  if (container.hidden) return;
  const kept = keptFor(container, () => {
    const made = frame(container, "again", "Run it again");
    made.file = copied("the study file", "");
    made.command = copied("the command", "");
    made.filePart = make("div", "", make("h4", "", "Study file"), made.file);
    made.commandPart = make("div", "", make("h4", "", "Command"), made.command);
    made.body.append(made.filePart, made.commandPart);
    return made;
  });
  write(kept.summary, study.study_file ? "Save the study file, and run the command beside it." : "This command runs the same study.");
  kept.filePart.hidden = !study.study_file;
  kept.commandPart.hidden = !study.command;
  write(kept.file.querySelector("code"), study.study_file);
  write(kept.command.querySelector("code"), study.command);
}
