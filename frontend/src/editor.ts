// The query editor: colours, completion, Ctrl+Enter, mistakes marked at their line; answers replace the outcome without a new page.

import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { HighlightStyle, StreamLanguage, bracketMatching, syntaxHighlighting } from "@codemirror/language";
import { sparql } from "@codemirror/legacy-modes/mode/sparql";
import { type Diagnostic, lintGutter, setDiagnostics } from "@codemirror/lint";
import { EditorState } from "@codemirror/state";
import { EditorView, drawSelection, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";

import { proposals } from "./completion";
import { enliven } from "./map";
import { tabs } from "./views";

const LONGEST_ADDRESS = 6000;

const COLOURS = HighlightStyle.define([
  { tag: tags.keyword, color: "#0b5c66", fontWeight: "600" },
  { tag: [tags.string, tags.special(tags.string)], color: "#7a3e00" },
  { tag: tags.comment, color: "#5a6b72", fontStyle: "italic" },
  { tag: [tags.variableName, tags.special(tags.variableName)], color: "#5b2a86" },
  { tag: [tags.number, tags.bool, tags.atom], color: "#8c1d18" },
]);

const LOOKS = EditorView.theme({
  "&": { fontSize: "14px", backgroundColor: "#fff", minHeight: "12rem", maxHeight: "36rem" },
  ".cm-scroller": { fontFamily: 'ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace', lineHeight: "1.5" },
  ".cm-content": { minHeight: "12rem" },
  ".cm-gutters": { backgroundColor: "#f2f5f3", color: "#4c5f66", border: "none" },
  "&.cm-focused": { outline: "none" },
  ".cm-tooltip": { border: "1px solid #9fb0ad", borderRadius: "6px", backgroundColor: "#fff" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "#0b5c66", color: "#fff" },
  // the drawings of the library are data: addresses, which the policy of the page does not allow
  ".cm-lintRange-error": { backgroundImage: "none", textDecoration: "underline wavy #8c1d18", textUnderlineOffset: "3px" },
  ".cm-lint-marker-error": { content: '"●"', color: "#8c1d18", lineHeight: "1.4" },
  ".cm-completionDetail": { color: "#4c5f66", fontStyle: "normal" },
  "li[aria-selected] .cm-completionDetail": { color: "#fff" },
});

/** Put the editor over the text area of a form; the text area still holds what is sent. */
export function edit(form: HTMLFormElement): void {
  const area = form.querySelector<HTMLTextAreaElement>("textarea");
  if (!area) return;
  const host = document.createElement("div");
  host.className = "editor";
  area.before(host);
  // Inside a shadow root the styles of the editor are constructed, not inline: the policy of the page allows no inline style.
  const root = host.attachShadow({ mode: "open" });
  const mount = document.createElement("div");
  root.append(mount);
  const label = form.querySelector<HTMLLabelElement>(`label[for="${area.id}"]`);
  const view = new EditorView({
    parent: mount,
    root,
    state: EditorState.create({
      doc: area.value.replace(/\n$/, ""),
      extensions: [
        lineNumbers(),
        lintGutter(),
        history(),
        drawSelection(),
        bracketMatching(),
        closeBrackets(),
        highlightActiveLine(),
        StreamLanguage.define(sparql),
        syntaxHighlighting(COLOURS),
        autocompletion({
          override: [proposals(form.dataset.vocabulary ?? "", form.dataset.search ?? "", form.dataset.things ?? "")],
        }),
        keymap.of([
          { key: "Mod-Enter", run: () => (form.requestSubmit(), true) },
          { key: "Escape", run: () => (form.querySelector("button")?.focus(), true) }, // Tab indents: this leads out
          ...closeBracketsKeymap,
          ...completionKeymap,
          ...historyKeymap,
          ...defaultKeymap,
          indentWithTab,
        ]),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ "aria-label": label?.textContent ?? "SPARQL", spellcheck: "false" }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) area.value = update.state.doc.toString();
        }),
        LOOKS,
      ],
    }),
  });
  area.hidden = true;
  area.required = false;
  label?.addEventListener("click", () => view.focus());
  mark(view);
  form.addEventListener("submit", (event) => {
    const format = form.querySelector<HTMLSelectElement>("select[name=format]")?.value;
    if (format !== "html") return; // a file: the browser knows what to do
    event.preventDefault();
    void run(form, view);
  });
}

/** Ask for the same page with the answer in it, and take over the parts that differ. */
async function run(form: HTMLFormElement, view: EditorView): Promise<void> {
  const outcome = document.getElementById("outcome");
  const errors = document.getElementById("outcome-error");
  if (!outcome || !errors) return form.submit();
  const fields = new URLSearchParams([...new FormData(form)].map(([name, value]) => [name, String(value)]));
  const address = `${new URL(form.action).pathname}?${fields}`;
  const short = address.length < LONGEST_ADDRESS;
  for (const details of document.querySelectorAll<HTMLDetailsElement>("details[data-aside]")) details.open = false;
  outcome.classList.add("busy");
  outcome.setAttribute("aria-busy", "true");
  try {
    const headers = { Accept: "text/html" };
    const answer = await fetch(short ? address : new URL(form.action).pathname, short ? { headers } : { method: "POST", headers, body: fields });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const next = page.getElementById("outcome");
    const wrong = page.getElementById("outcome-error");
    if (!next || !wrong) throw new Error(String(answer.status));
    outcome.replaceChildren(...next.childNodes);
    errors.replaceChildren(...wrong.childNodes);
    if (short) window.history.replaceState(null, "", address);
  } catch {
    errors.replaceChildren(apology(form.dataset.failed ?? ""));
    outcome.replaceChildren();
  } finally {
    outcome.classList.remove("busy");
    outcome.removeAttribute("aria-busy");
  }
  outcome.querySelectorAll<HTMLElement>("[data-map]").forEach(enliven);
  outcome.querySelectorAll<HTMLElement>("[data-views]").forEach(tabs);
  mark(view);
  (outcome.querySelector("h2") ?? errors).scrollIntoView({ block: "nearest" });
}

function apology(text: string): HTMLElement {
  const section = document.createElement("section");
  section.className = "problem";
  section.setAttribute("role", "alert");
  section.textContent = text;
  return section;
}

/** Mark the line that the server complains about. */
function mark(view: EditorView): void {
  const problem = document.querySelector<HTMLElement>("#outcome-error .problem");
  const found: Diagnostic[] = [];
  const number = Number(problem?.dataset.line ?? 0);
  if (problem && number >= 1 && number <= view.state.doc.lines) {
    const line = view.state.doc.line(number);
    const from = Math.min(line.from + Math.max(0, Number(problem.dataset.character ?? 1) - 1), Math.max(line.from, line.to - 1));
    const message = problem.querySelector("p")?.textContent ?? "";
    found.push({ from, to: Math.max(line.to, from), severity: "error", message });
  }
  view.dispatch(setDiagnostics(view.state, found));
  if (found[0]) view.dispatch({ selection: { anchor: found[0].from }, scrollIntoView: true });
}
