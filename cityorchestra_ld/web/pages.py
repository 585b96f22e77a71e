"""Render the pages: Jinja2 templates, two languages, links that keep the language that the address asked for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from cityorchestra_ld import __version__
from cityorchestra_ld.errors import Text
from cityorchestra_ld.model import Generation
from cityorchestra_ld.territory import Territory
from cityorchestra_ld.web.addresses import Addresses
from cityorchestra_ld.web.charts import figure
from cityorchestra_ld.web.http_ import Ask
from cityorchestra_ld.web.terms import date_text, number_text

_FOLDER: Final = Path(__file__).parent
STATIC: Final = _FOLDER / "static"
_SCRIPT: Final = "build/app.js"
_SCRIPTED: Final = 20_000  # bytes of JSON in a page
_DATE: Final = "http://www.w3.org/2001/XMLSchema#date"
_DATE_TIME: Final = "http://www.w3.org/2001/XMLSchema#dateTime"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    return environment


@cache
def static_version(name: str) -> str:
    """Return a short hash of a static file, so that its address changes when it does."""
    return hashlib.blake2b((STATIC / name).read_bytes(), digest_size=5).hexdigest()


@cache
def design() -> str:
    """Return a hash of everything that pages are made with: it is part of their entity tags."""
    digest = hashlib.blake2b(__version__.encode(), digest_size=8)
    for file in sorted(
        (*_FOLDER.glob("templates/*.html"), *_FOLDER.glob("*.json"), *_FOLDER.glob("*.py"), *STATIC.rglob("*.*"))
    ):
        digest.update(file.read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Page:
    """What a template needs to know of the request: language, addresses, the generation that answers."""

    ask: Ask
    site: Text
    base: str
    generation: Generation | None
    ways: frozenset[str] = frozenset()  # pages that this territory has queries for

    @property
    def lang(self) -> str:
        """Return the language of the page."""
        return self.ask.language

    def say(self, fr: str, en: str) -> str:
        """Choose between two sentences."""
        return en if self.ask.language == "en" else fr

    def tell(self, text: Text) -> str:
        """Choose the sentence of a Text."""
        return text.get(self.ask.language)

    def url(self, path: str) -> str:
        """Make a link to a path of ours; a language that the address asks for is kept."""
        if not path.startswith("/"):
            return path
        said = self.ask.said_language
        target, mark, fragment = path.partition("#")
        if said and "lang=" not in target:
            target += f"{'&' if '?' in target else '?'}lang={said}"
        return self.ask.root + target + mark + fragment

    def static(self, name: str) -> str:
        """Make the address of a static file."""
        return f"{self.ask.root}/static/{name}?v={static_version(name)}"

    @property
    def scripts(self) -> str | None:
        """Return the address of the script that enriches pages, `None` when the front end is not built."""
        return self.static(_SCRIPT) if (STATIC / _SCRIPT).exists() else None

    @property
    def other_language(self) -> str:
        """Return the address of this page in the other language."""
        fields = [(name, value) for name, values in self.ask.fields().items() if name != "lang" for value in values]
        fields.append(("lang", "fr" if self.ask.language == "en" else "en"))
        path = "/" + self.ask.path.lstrip("/")  # never `//host`
        return f"{self.ask.root}{path}?{urlencode(fields)}"

    def number(self, value: int) -> str:
        """Write a count."""
        return number_text(str(value), self.ask.language) or str(value)

    def figure(self, value: float) -> str:
        """Write a figure with no more digits than people read."""
        return figure(value, self.ask.language)

    def address(self, iri: str) -> str:
        """Return the path of the page of an IRI of ours."""
        return Addresses(self.base).page(iri) or "/"

    def day(self, lexical: str) -> str:
        """Write a date; what is not a date stays as it is."""
        return date_text(lexical, _DATE, self.ask.language) or lexical

    @property
    def published(self) -> str:
        """Say when the generation was published."""
        if self.generation is None:
            return ""
        moment = self.generation.created.replace(microsecond=0, second=0)
        return date_text(moment.isoformat(), _DATE_TIME, self.ask.language) or moment.isoformat()


def inside_script(data: bytes) -> Markup:
    """Return JSON that may stand inside a script element, empty when it is too long for a page; no markup is left in it."""
    if len(data) > _SCRIPTED:
        return Markup("")
    return Markup(data.replace(b"<", rb"\u003c").replace(b">", rb"\u003e").replace(b"&", rb"\u0026").decode())  # noqa: S704


class Pages:
    """Renders templates for one territory."""

    def __init__(self, territory: Territory, ways: frozenset[str] = frozenset()) -> None:
        self._territory = territory
        self._ways = ways

    def render(self, template: str, ask: Ask, generation: Generation | None, **values: object) -> bytes:
        """Render a template to UTF-8; the markup is well-formed XML too."""
        page = Page(ask, self._territory.name, self._territory.base_iri, generation, self._ways)
        return _environment().get_template(template).render(page=page, say=page.say, url=page.url, **values).encode()
