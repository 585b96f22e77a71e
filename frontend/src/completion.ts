// What the editor proposes: words of SPARQL, prefixes, terms of the vocabulary, variables of the query, things by their name.

import type { Completion, CompletionContext, CompletionResult } from "@codemirror/autocomplete";
import type { EditorView } from "@codemirror/view";

interface Term {
  iri: string;
  kind: "class" | "property";
  label: string;
}

interface Vocabulary {
  prefixes: Record<string, string>;
  terms: Term[];
  graphs: string[];
}

interface Found {
  results: { iri: string; name: string; kind: string }[];
}

const WORDS =
  "SELECT CONSTRUCT DESCRIBE ASK WHERE PREFIX DISTINCT FILTER OPTIONAL UNION GRAPH BIND VALUES MINUS EXISTS LIMIT OFFSET " +
  "COUNT SUM AVG MIN MAX SAMPLE GROUP_CONCAT HAVING REGEX CONTAINS STRSTARTS LANG LANGMATCHES STR DATATYPE BOUND COALESCE IF ROUND YEAR";
const PHRASES = ["GROUP BY", "ORDER BY", "ORDER BY DESC()", "FILTER NOT EXISTS { }"];
const KEYWORDS: Completion[] = [...WORDS.split(" "), ...PHRASES].map((label) => ({ label, type: "keyword" }));

let known: Promise<Vocabulary> | undefined;

/** Make the source of completions for one page. */
export function proposals(vocabulary: string, search: string, inData: string) {
  return async (context: CompletionContext): Promise<CompletionResult | null> => {
    const text = context.state.doc.toString();
    const variable = context.matchBefore(/[?$]\w*/);
    if (variable) {
      const names = [...new Set(text.match(/[?$]\w+/g) ?? [])].filter((name) => name !== variable.text);
      return { from: variable.from, options: names.map((label) => ({ label, type: "variable" })) };
    }
    const open = context.matchBefore(/<[^<>\s]*/);
    if (open) return things(open.from, open.text.slice(1), await load(vocabulary), search, inData);
    const word = context.matchBefore(/[A-Za-z_][\w-]*:[\w-]*|[\p{L}_][\p{L}\w-]*/u);
    if (!word && !context.explicit) return null;
    const data = await load(vocabulary);
    const options = [...KEYWORDS, ...data.terms.flatMap((term) => named(term, data.prefixes))];
    return { from: word ? word.from : context.pos, options, validFor: /^[\p{L}\w:-]*$/u };
  };
}

async function load(address: string): Promise<Vocabulary> {
  known ??= fetch(address, { headers: { Accept: "application/json" } }).then((answer) => answer.json() as Promise<Vocabulary>);
  return known;
}

/** A term is proposed by its prefixed name and found by its label too; its prefix is declared when it is chosen. */
function named(term: Term, prefixes: Record<string, string>): Completion[] {
  const best = Object.entries(prefixes)
    .filter(([, space]) => term.iri.startsWith(space))
    .sort((one, other) => other[1].length - one[1].length)[0];
  if (!best) return [];
  const [prefix, space] = best;
  const name = `${prefix}:${term.iri.slice(space.length)}`;
  if (!/^[\w-]+:[\w.-]*$/.test(name)) return [];
  const type = term.kind;
  const apply = (view: EditorView, _: Completion, from: number, to: number) => insert(view, name, prefix, space, from, to);
  return [
    { label: name, detail: term.label, type, apply },
    { label: term.label, detail: name, type, apply, boost: -20 },
  ];
}

/** Write a name, and declare its prefix at the top when the query does not. */
function insert(view: EditorView, name: string, prefix: string, space: string, from: number, to: number): void {
  const text = view.state.doc.toString();
  const declared = new RegExp(`^\\s*PREFIX\\s+${prefix}:`, "im").test(text);
  const changes = [{ from, to, insert: name }];
  const head = declared ? "" : `PREFIX ${prefix}: <${space}>\n`;
  if (head) changes.unshift({ from: 0, to: 0, insert: head });
  view.dispatch({ changes, selection: { anchor: from + head.length + name.length }, userEvent: "input.complete" });
}

/** After `<`, propose graphs, and things of the data by their name. */
async function things(
  from: number,
  typed: string,
  data: Vocabulary,
  search: string,
  inData: string,
): Promise<CompletionResult | null> {
  const graphs: Completion[] = data.graphs.map((iri) => ({ label: `<${iri}>`, type: "namespace" }));
  if (typed.length < 3 || typed.includes("/")) return { from, options: graphs };
  const answer = await fetch(`${search}?format=json&q=${encodeURIComponent(typed.replace(/[_-]/g, " "))}`);
  const found = answer.ok ? ((await answer.json()) as Found).results : [];
  const options = found.map(({ iri, name, kind }) => ({
    label: `<${name}`,
    displayLabel: name,
    detail: kind || inData,
    type: "constant",
    apply: `<${iri}>`,
  }));
  return { from, options: [...options, ...graphs], filter: false };
}
