"""Compile term maps: IRIs, blank nodes and literals as N-Quads writes them, with the checks that the specification asks for."""

from __future__ import annotations

from dataclasses import replace

import pyoxigraph as ox

from cityorchestra_ld.errors import Text
from cityorchestra_ld.mapping import terms
from cityorchestra_ld.mapping.expressions import Check, Compiler, Rule
from cityorchestra_ld.mapping.plan import Expression, Fixed, Reference, Template, TermMap, TermType
from cityorchestra_ld.mapping.relations import Rows
from cityorchestra_ld.mapping.sql import Lit, Value, combine, text
from cityorchestra_ld.namespaces import XSD


def constant_term(term: ox.NamedNode | ox.BlankNode | ox.Literal) -> str:
    """Write a constant as in N-Quads."""
    return f"_:c{term.value}" if isinstance(term, ox.BlankNode) else str(term)


class TermCompiler(Compiler):
    """Compiles term maps to terms as N-Quads writes them."""

    def __init__(self, rows: Rows, rule: Rule, checks: list[Check], *, strict: bool, base_iri: str) -> None:
        super().__init__(rows, rule, checks, strict=strict)
        self.base_iri = base_iri

    def term(self, term: TermMap) -> Value:
        """Compile one term map."""
        if term.expression is None:
            return self._fresh()
        if isinstance(term.expression, Fixed) and term.datatype is None and term.language is None:
            return Value((Lit(constant_term(term.expression.term)),))
        if term.type is TermType.BLANK_NODE:
            value = self.value(term.expression)
            return value.with_pieces(Lit("_:b"), f"md5({value.sql})")
        if term.type is TermType.LITERAL:
            return self._literal(term)
        return self._iri(term)

    def _fresh(self) -> Value:
        """Make a blank node for each record, always the same one for the same record of the same file."""
        return Value((Lit("_:r"), f"md5(concat({text(self.rule.triples_map)}, ' ', {self.rows.identity}))"))

    # --- IRIs ---------------------------------------------------------------------------------------------------------------

    def _iri(self, term: TermMap) -> Value:
        expression = term.expression
        encode = {TermType.IRI: "co_iri_safe", TermType.URI: "url_encode"}.get(term.type)
        if isinstance(expression, Template) and encode:
            value = self.template(expression, lambda sql: f"{encode}({sql})")
            sample = "".join(part if isinstance(part, str) else "x" for part in expression.parts)
            if _is_settled(expression, sample):
                base = "" if terms.has_scheme(sample) else self.base_iri
                return value.with_pieces(Lit("<" + base), *value.pieces, Lit(">"))
        elif isinstance(expression, Template):
            value = self.template(expression)
        else:
            value = self.value(expression or Template(()))
        return self._checked_iri(self.simple(value))

    def _checked_iri(self, value: Value) -> Value:
        """Accept an absolute IRI as it is, a relative one after the base IRI, and nothing else."""
        pattern = text(terms.IRI_PATTERN)
        plain = f"regexp_full_match({value.sql}, {text(terms.PLAIN_IRI)})"
        absolute = f"regexp_full_match({value.sql}, {pattern})"
        based = f"concat({text(self.base_iri)}, {value.sql})"
        ok = f"{absolute} OR regexp_full_match({based}, {pattern})"
        result = f"CASE WHEN {absolute} THEN {value.sql} ELSE {based} END"
        message = Text("La valeur ne fait pas une IRI valide.", "The value does not make a valid IRI.")
        hint = Text(
            "Une IRI n'a ni espace, ni guillemets, ni < > { } | ^ ` \\ ; un gabarit encode ce qu'il insère.",
            "An IRI has no space, no quotes, none of < > { } | ^ ` \\; a template encodes what it inserts.",
        )
        sql = self.checked(value, value.sql, ok, result, message, hint, (plain, value.sql))
        return value.with_pieces(Lit("<"), sql, Lit(">"))

    # --- literals -----------------------------------------------------------------------------------------------------------

    def _literal(self, term: TermMap) -> Value:
        expression = term.expression or Template(())
        if term.language is not None:
            value = self._quoted(expression)
            tag = self._language(term.language)
            return combine([value, tag], [*value.pieces, Lit("@"), *tag.pieces])
        if term.datatype is not None:
            return self._typed(self.value(expression), term.datatype)
        if isinstance(expression, Reference):
            value = self.rows.resolve(expression.text)
            if value.raw is not None and value.natural in ("json", None):
                return self.scalar(value, "natural" if value.natural else "quoted")
        value = self.value(expression)
        if value.natural is not None and value.natural != "json":
            return value.with_pieces(Lit('"'), *value.pieces, Lit(f'"^^<{value.natural}>'))
        return value.with_pieces(Lit('"'), *_escaped(value), Lit('"'))

    def _quoted(self, expression: Expression) -> Value:
        """Compile text between quotes; what JSON writes without an escape, N-Quads writes in the same way."""
        if isinstance(expression, Reference):
            value = self.rows.resolve(expression.text)
            if value.raw is not None:
                return self.scalar(value, "quoted")
        value = self.value(expression)
        return value.with_pieces(Lit('"'), *_escaped(value), Lit('"'))

    def _language(self, term: TermMap) -> Value:
        value = self.value(term.expression or Template(()))
        if value.constant is not None:
            return value
        value = self.simple(value)
        ok = f"regexp_full_match({value.sql}, {text(terms.LANGUAGE)})"
        message = Text("La valeur n'est pas une étiquette de langue (BCP 47).", "The value is not a language tag (BCP 47).")
        hint = Text("Par exemple fr, en, fr-FR.", "For example fr, en, fr-FR.")
        return value.with_pieces(self.checked(value, value.sql, ok, f"lower({value.sql})", message, hint))

    def _typed(self, value: Value, datatype: TermMap) -> Value:
        if isinstance(datatype.expression, Fixed):
            iri = datatype.expression.term.value
            lexical = terms.lexical(iri)
            if iri == XSD + "string":
                return value.with_pieces(Lit('"'), *_escaped(value), Lit('"'))
            if lexical is None:
                return value.with_pieces(Lit('"'), *_escaped(value), Lit(f'"^^<{iri}>'))
            if iri == XSD + "double" and value.natural == "json":
                lexical = replace(lexical, canonical="co_double")  # numbers of JSON are written in one way only
            if value.natural != iri or value.constant is not None:
                value = self._checked_lexical(self.simple(value), iri.removeprefix(XSD), lexical)
            return value.with_pieces(Lit('"'), *value.pieces, Lit(f'"^^<{iri}>'))
        kind = self.simple(self._iri(datatype))
        suffix = f"CASE WHEN {kind.sql} = '<{XSD}string>' THEN '' ELSE concat('^^', {kind.sql}) END"
        return combine([value, kind], [Lit('"'), *_escaped(value), Lit('"'), suffix])

    def _checked_lexical(self, value: Value, name: str, lexical: terms.Lexical) -> Value:
        ok = f"regexp_full_match({value.sql}, {text(lexical.pattern)})"
        if lexical.condition:
            ok += f" AND {lexical.condition.format(x=value.sql)}"
        result = f"{lexical.canonical}({value.sql})" if lexical.canonical else value.sql
        message = Text(f"La valeur n'est pas un xsd:{name}.", f"The value is not an xsd:{name}.")
        hint = Text(
            f"On attend par exemple {lexical.example} ; une fonction (fn:decimal, fn:date…) lit les autres écritures.",
            f"For example {lexical.example}; a function (fn:decimal, fn:date…) reads other ways of writing.",
        )
        quick = (lexical.quick.format(x=value.sql), lexical.short.format(x=value.sql)) if lexical.quick else None
        return value.with_pieces(self.checked(value, value.sql, ok, result, message, hint, quick))


def _escaped(value: Value) -> list[str]:
    return [Lit(_escape(piece)) if isinstance(piece, Lit) else f"co_escape({piece})" for piece in value.pieces]


def _escape(written: str) -> str:
    return written.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")


def _is_settled(template: Template, sample: str) -> bool:
    """Tell whether the template gives a valid IRI whatever is inserted: no reference in the scheme or the authority."""
    first = template.parts[0] if template.parts else ""
    if not isinstance(first, str):
        return not terms.has_scheme(sample)
    if not terms.has_scheme(first):
        return not terms.has_scheme(sample)
    after = first.partition(":")[2]
    return (
        (not after.startswith("//") and len(template.parts) > 1)
        or any(mark in after[2:] for mark in "/?#")
        or len(template.parts) == 1
    )
