/**
 * Shows the results of a run: the verdict of each file, and the error.
 *
 * Imports types, strings and pure helpers.
 */
import type { Finished } from "../session/events.ts";
import { describeFile, type Listed, type Problem } from "../wording.ts";
import type { Downloads } from "./downloads.ts";
import { described, element, fill, isolated, part, show } from "./elements.ts";

/** Show an error and what to do; `titled` if the heading is not the title of the error. */
export function showProblem(problem: Problem, titled = false): void {
  const { kind, title, detail, advice } = problem;
  const lines = [titled ? title : "", detail].filter((text) => text !== "");
  part("problem").dataset.kind = kind;
  part("problem").replaceChildren(
    ...lines.map((text) => element("p", {}, ...isolated(text))),
    element("ul", {}, ...advice.map((text) => element("li", {}, ...isolated(text)))),
  );
  part("retry").textContent = problem.retry;
  part("retry").classList.toggle("main", problem.leads);
  show(true, "problem");
}

/**
 * List the verdicts: first failed and unfinished files, then verified ones, with buttons for those
 * that can be saved, and last skipped ones.
 */
export function listVerdicts(files: readonly Listed[], downloads: Downloads): void {
  const good = files.filter((file) => file.status === "ok");
  const skipped = files.filter((file) => file.status === "skipped");
  const bad = files.filter((file) => file.status !== "ok" && file.status !== "skipped");
  fill("files", [...bad, ...good, ...skipped], (file) =>
    element(
      "li",
      { "data-path": file.path, "data-status": file.status },
      element("div", {}, ...described(file.path, describeFile(file))),
      (file.status === "ok" && downloads.button(file.saved)) || "",
    ),
  );
}

/** Return whether a file has arrived. */
export function hasArrived({ files }: Finished): boolean {
  return files.some((file) => file.status === "ok");
}
