"""Judge a query before the engine parses it: its form, its datasets, and whether it could harm."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NoReturn
from urllib.parse import urljoin

from cityorchestra_ld.errors import Place, QueryError, Text
from cityorchestra_ld.model import Limits
from cityorchestra_ld.namespaces import REUSED
from cityorchestra_ld.store.frames import Joined
from cityorchestra_ld.store.lexer import Token, iri_value, place, tokens

Form = Literal["SELECT", "ASK", "CONSTRUCT", "DESCRIBE"]
ResultKind = Literal["solutions", "boolean", "graph"]

_FORMS: Final[dict[str, ResultKind]] = {"SELECT": "solutions", "ASK": "boolean", "CONSTRUCT": "graph", "DESCRIBE": "graph"}
_UPDATE_TEXT: Final = "ADD ALL CLEAR COPY CREATE DATA DEFAULT DELETE DROP INSERT INTO LOAD MOVE TO USING WITH"
_QUERY_TEXT: Final = """
    A ABS ADJUST AS ASC ASK AVG BASE BIND BNODE BOUND BY CEIL COALESCE CONCAT CONSTRUCT CONTAINS COUNT DATATYPE DAY DESC
    DESCRIBE DISTINCT ENCODE_FOR_URI EXISTS FALSE FILTER FLOOR FROM GRAPH GROUP GROUP_CONCAT HASLANG HASLANGDIR HAVING HOURS
    IF IN IRI ISBLANK ISIRI ISLITERAL ISNUMERIC ISTRIPLE ISURI LANG LANGDIR LANGMATCHES LATERAL LCASE LIMIT MAX MD5 MIN MINUS
    MINUTES MONTH NAMED NOT NOW OBJECT OFFSET OPTIONAL ORDER PREDICATE PREFIX RAND REDUCED REGEX REPLACE ROUND SAMETERM SAMPLE
    SECONDS SELECT SEPARATOR SHA1 SHA256 SHA384 SHA512 SILENT STR STRAFTER STRBEFORE STRDT STRENDS STRLANG STRLANGDIR STRLEN
    STRSTARTS STRUUID SUBJECT SUBSTR SUM TIMEZONE TRIPLE TRUE TZ UCASE UNDEF UNION URI UUID VALUES VERSION WHERE YEAR
    """
UPDATE_WORDS: Final = frozenset(_UPDATE_TEXT.split())
KEYWORDS: Final = frozenset(_QUERY_TEXT.split())
_CLOSES: Final = {"}": "{", ")": "(", "]": "["}
_UNARY: Final = frozenset("!^+-")
_ENDS_OPERAND: Final = frozenset(")}]>")
_ESCAPED: Final = re.compile(r"\\(.)")
_ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """A query that may be given to the engine, and what its text says about itself."""

    text: str
    form: Form
    from_default: tuple[str, ...] = ()
    from_named: tuple[str, ...] = ()
    prefixes: Mapping[str, str] = field(default_factory=dict)
    limit: int | None = None  # the LIMIT of the outermost query
    limit_span: tuple[int, int] | None = None
    tail: int | None = None  # where a LIMIT may be inserted: before a final VALUES, else at the end
    leaves: bool = False  # it asks other services
    joined: tuple[Joined, ...] = ()  # what they said, once they were asked

    @property
    def kind(self) -> ResultKind:
        """Tell what the answer is: a table, a truth value or a graph."""
        return _FORMS[self.form]

    def capped(self, rows: int) -> str:
        """Return a SELECT with a LIMIT of at most `rows`, other queries as they are; positions in its groups do not move."""
        if self.form != "SELECT" or (self.limit is not None and self.limit <= rows):
            return self.text
        if self.limit_span is not None:
            start, end = self.limit_span
            return f"{self.text[:start]}{rows}{self.text[end:]}"
        end = len(self.text) if self.tail is None else self.tail
        return f"{self.text[:end]}\nLIMIT {rows}\n{self.text[end:]}"


def inspect(text: str, limits: Limits | None = None, *, may_leave: bool = False) -> Inspected:
    """
    Look at a query before anything parses it; raise QueryError naming line and character for what we refuse.

    Refused: too long, nested too deep (the engine would die), updates, words that are not SPARQL, and SERVICE unless the
    query `may_leave`: then somebody else has to ask those services and put their rows in.
    """
    scan = Scan(text, limits or Limits())
    scan.may_leave = may_leave
    return scan.run()


@dataclass(slots=True)
class _Open:
    """A bracket that is not closed yet; `data` inside a VALUES block, where no expression can be."""

    mark: str
    at: int
    data: bool


class Scan:
    """One pass over the tokens of a query."""

    def __init__(self, text: str, limits: Limits) -> None:
        self.text = text
        self.limits = limits
        self.stack: list[_Open] = []
        self.hidden = 0  # brackets inside `<…>` that could be an IRI or a comparison
        self.unary = 0
        self.values = False
        self.before: Token | None = None
        self.form: Form | None = None
        self.base: str | None = None
        self.prefixes: dict[str, str] = {}
        self.declaring: str | None = None
        self.sources: dict[str, list[str]] = {"FROM": [], "NAMED": []}
        self.limit: Token | None = None
        self.tail: int | None = None
        self.may_leave = self.leaves = False
        self.service: Token | None = None  # a prefixed name that could be read as SERVICE, if a brace follows

    def run(self) -> Inspected:
        """Read every token, then say what was found."""
        self.scan()
        return self._done()

    def scan(self) -> None:
        """Read every token; raise QueryError for the first that is refused."""
        if len(self.text.encode("utf-8", "surrogatepass")) > self.limits.query_bytes:
            self._refuse(
                Text(
                    f"La requête dépasse {self.limits.query_bytes} octets.",
                    f"The query is longer than {self.limits.query_bytes} bytes.",
                ),
                None,
            )
        handlers = {
            "mark": self._mark, "word": self._word, "pname": self._pname, "iri": self._iri, "bad": self._bad,
            "number": self._number,
        }  # fmt: skip
        for token in tokens(self.text):
            if token.kind != "mark":
                self.unary = 0
                self.service = None
            handler = handlers.get(token.kind)
            if handler:
                handler(token)
            self.before = token
        if self.stack:
            last = self.stack[-1]
            self._refuse(Text(f"« {last.mark} » n'est jamais refermé.", f"'{last.mark}' is never closed."), last.at)

    def _done(self) -> Inspected:
        if self.form is None:
            self._refuse(
                Text("Ce n'est pas une requête SPARQL.", "This is not a SPARQL query."),
                self.before.at if self.before else 0,
                Text(
                    "Une requête commence par SELECT, ASK, CONSTRUCT ou DESCRIBE, après ses préfixes.",
                    "A query starts with SELECT, ASK, CONSTRUCT or DESCRIBE, after its prefixes.",
                ),
            )
        limit = self.limit
        return Inspected(
            text=self.text,
            form=self.form,
            from_default=tuple(dict.fromkeys(self.sources["FROM"])),
            from_named=tuple(dict.fromkeys(self.sources["NAMED"])),
            prefixes=dict(self.prefixes),
            limit=int(limit.text) if limit else None,
            limit_span=(limit.at, limit.end) if limit else None,
            tail=self.tail,
            leaves=self.leaves,
        )

    # --- tokens -----------------------------------------------------------------------------------------------------------

    def _mark(self, token: Token) -> None:
        self.unary = self.unary + 1 if token.text in _UNARY else 0
        if self.unary > self.limits.query_nesting:
            self._too_deep(token)
        if token.text in "{([":
            self._open(token)
        elif token.text in _CLOSES:
            self._close(token)
        self.service = None

    def _open(self, token: Token) -> None:
        if token.text == "{" and self.service is not None:
            self._service(self.service)
        data = (self.stack[-1].data if self.stack else False) or (self.values and token.text == "{")
        if token.text == "{":
            self.values = False
        self.stack.append(_Open(token.text, token.at, data))
        if len(self.stack) + self.hidden > self.limits.query_nesting:
            self._too_deep(token)

    def _close(self, token: Token) -> None:
        if not self.stack or self.stack[-1].mark != _CLOSES[token.text]:
            opened = self.stack[-1].mark if self.stack else None
            self._refuse(
                Text(f"« {token.text} » ne ferme rien ici.", f"'{token.text}' closes nothing here."),
                token.at,
                Text(f"« {opened} » est encore ouvert.", f"'{opened}' is still open.") if opened else None,
            )
        self.stack.pop()

    def _word(self, token: Token) -> None:
        word = token.text.upper()
        if "SERVICE" in word:
            self._leave(token)
        elif word in UPDATE_WORDS:
            self._refuse(
                Text(f"« {token.text} » : les mises à jour sont refusées.", f"'{token.text}': updates are refused."),
                token.at,
                Text(
                    "Ce point d'accès répond à SELECT, ASK, CONSTRUCT et DESCRIBE ; les données changent par publication.",
                    "This endpoint answers SELECT, ASK, CONSTRUCT and DESCRIBE; data change by publication.",
                ),
            )
        elif word not in KEYWORDS:
            self._unknown(token, word, KEYWORDS)
        if self.form is None:
            self._prologue(token, word)
        elif word == "VALUES":
            self.values = True
            if not self.stack:
                self.tail = token.at

    def _prologue(self, token: Token, word: str) -> None:
        if word in _FORMS:
            self.form = word  # type: ignore[assignment]
        elif word not in ("BASE", "PREFIX", "VERSION"):
            self._refuse(
                Text(f"« {token.text} » ne peut pas commencer une requête.", f"'{token.text}' cannot start a query."),
                token.at,
                Text("Commencez par SELECT, ASK, CONSTRUCT ou DESCRIBE.", "Start with SELECT, ASK, CONSTRUCT or DESCRIBE."),
            )

    def _pname(self, token: Token) -> None:
        prefix, _, local = token.text.partition(":")
        if self._after("PREFIX") and not local:
            self.declaring = prefix
            return
        if prefix not in self.prefixes:
            known = REUSED.get(prefix)
            near = difflib.get_close_matches(prefix, self.prefixes, n=1)
            hint = Text(f"Ajoutez PREFIX {prefix}: <{known}>", f"Add PREFIX {prefix}: <{known}>") if known else None
            if hint is None and near:
                hint = Text(f"Vouliez-vous dire « {near[0]}: » ?", f"Did you mean '{near[0]}:'?")
            self._refuse(
                Text(f"Le préfixe « {prefix}: » n'est pas déclaré.", f"The prefix '{prefix}:' is not declared."),
                token.at,
                hint,
            )
        if "SERVICE" in prefix.upper():
            self.service = token
        self._source(self.prefixes[prefix] + _ESCAPED.sub(r"\1", local))

    def _iri(self, token: Token) -> None:
        if self._after("BASE"):
            self.base = self._resolve(iri_value(token.text))
        elif self.declaring is not None:
            self.prefixes[self.declaring] = self._resolve(iri_value(token.text))
            self.declaring = None
        elif self._could_compare():
            self._either(token)
        else:
            self._source(self._resolve(iri_value(token.text)))

    def _number(self, token: Token) -> None:
        if not self.stack and self._after("LIMIT") and token.text.isdecimal() and len(token.text) < 19:
            self.limit = token

    def _bad(self, token: Token) -> None:
        if token.text in "\"'":
            self._refuse(Text("Ce texte n'est jamais refermé.", "This string is never closed."), token.at)
        shown = token.text if token.text.isprintable() else f"U+{ord(token.text):04X}"
        self._refuse(Text(f"Caractère inattendu « {shown} ».", f"Unexpected character '{shown}'."), token.at)

    # --- meaning ----------------------------------------------------------------------------------------------------------

    def _after(self, word: str) -> bool:
        return self.before is not None and self.before.kind == "word" and self.before.text.upper() == word

    def _resolve(self, iri: str) -> str:
        if self.base is None or _ABSOLUTE.match(iri):
            return iri
        return urljoin(self.base, iri) + ("#" if iri.endswith("#") else "")

    def _source(self, iri: str) -> None:
        if self.stack or self.form is None:
            return
        for clause, found in self.sources.items():
            if self._after(clause):
                found.append(iri)

    def _could_compare(self) -> bool:
        """Tell whether the engine could read the `<` of this IRI as less-than: right after an operand, in parentheses."""
        if self.before is None or not self.stack or self.stack[-1].mark != "(" or self.stack[-1].data:
            return False
        kind, text = self.before.kind, self.before.text
        if kind == "mark":
            return text in _ENDS_OPERAND
        return kind != "word" or text.upper() in ("TRUE", "FALSE")

    def _either(self, token: Token) -> None:
        """Be careful with what is an IRI to us and could be code to the engine: count its brackets, refuse quotes in it."""
        if "'" in token.text or "#" in token.text:
            self._refuse(
                Text("Ce « < » peut se lire de deux façons.", "This '<' can be read in two ways."),
                token.at,
                Text(
                    "Mettez une espace après « < » pour une comparaison, ou écrivez l'adresse avec un préfixe.",
                    "Put a space after '<' for a comparison, or write the IRI with a prefix.",
                ),
            )
        opened = unary = 0
        for char in token.text:
            opened = opened + 1 if char in "([" else max(0, opened - 1) if char in ")]" else opened
            unary += char in _UNARY
        self.hidden += opened
        if max(len(self.stack) + self.hidden, unary) > self.limits.query_nesting:
            self._too_deep(token)

    # --- refusals ---------------------------------------------------------------------------------------------------------

    def _refuse(self, message: Text, at: int | None, hint: Text | None = None) -> NoReturn:
        where = Place(file=None) if at is None else place(self.text, at)
        raise QueryError(message, place=where, hint=hint)

    def _too_deep(self, token: Token) -> NoReturn:
        most = self.limits.query_nesting
        self._refuse(
            Text(f"La requête est imbriquée sur plus de {most} niveaux.", f"The query is nested deeper than {most} levels."),
            token.at,
            Text("Simplifiez les parenthèses, les groupes ou les négations.", "Simplify parentheses, groups or negations."),
        )

    def _unknown(self, token: Token, word: str, known: frozenset[str]) -> NoReturn:
        near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
        self._refuse(
            Text(f"« {token.text} » n'est pas un mot de SPARQL.", f"'{token.text}' is not a word of SPARQL."),
            token.at,
            Text(f"Vouliez-vous dire {near[0]} ?", f"Did you mean {near[0]}?") if near else None,
        )

    def _leave(self, token: Token) -> None:
        if not self.may_leave or token.text.upper() != "SERVICE":
            self._service(token)
        self.leaves = True

    def _service(self, token: Token) -> NoReturn:
        self._refuse(
            Text("SERVICE est refusé : une requête ne sort pas d'ici.", "SERVICE is refused: a query stays here."),
            token.at,
            Text(
                "Interrogez l'autre service, puis joignez les résultats chez vous ; à /sparql, l'exploitant peut autoriser "
                "des services ([[sparql.service]] dans territory.toml).",
                "Ask the other service, then join the results on your side; at /sparql, the operator may allow services "
                "([[sparql.service]] in territory.toml).",
            ),
        )
