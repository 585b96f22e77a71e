"""Tell which IRI each name of a query is, from its prefixes and its base."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urljoin

from cityorchestra_ld.store.lexer import iri_value, tokens

_PROLOGUE: Final = frozenset(("BASE", "PREFIX", "VERSION"))  # of each update of several, too


class Resolver:
    """One pass over a query; afterwards `base` and `prefixes` are those that hold in its groups."""

    def __init__(self, text: str, base: str | None) -> None:
        self.names: dict[int, str] = {}  # by offset
        self.base, self.prefixes = base, dict[str, str]()
        declaring: str | None = None
        before, prologue = "", True
        for token in tokens(text):
            if token.kind == "word":
                prologue = token.text.upper() in _PROLOGUE
            if token.kind == "iri":
                iri = urljoin(self.base or "", iri_value(token.text)) if self.base else iri_value(token.text)
                if iri_value(token.text).endswith("#") and not iri.endswith("#"):
                    iri += "#"
                if prologue and before == "BASE":
                    self.base = iri
                elif prologue and declaring is not None:
                    self.prefixes[declaring] = iri
                self.names[token.at] = iri
            elif token.kind == "pname":
                prefix, _, local = token.text.partition(":")
                declaring = prefix
                self.names[token.at] = self.prefixes.get(prefix, "") + re.sub(r"\\(.)", r"\1", local)
            before = token.text.upper()
