"""What each profile makes of a thing: with labels, bounded, framed, for maps, for search engines, for digital twins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import pyoxigraph as ox

from cityorchestra_ld.formats import Format
from cityorchestra_ld.namespaces import RDFS
from cityorchestra_ld.web import schema_org
from cityorchestra_ld.web.describe import Description
from cityorchestra_ld.web.framing import frame
from cityorchestra_ld.web.http_ import Ask, Language
from cityorchestra_ld.web.located import entity, feature
from cityorchestra_ld.web.profiles import CBD, FEATURE, FRAMED, LABELLED, NGSI, SCHEMA
from cityorchestra_ld.web.representation import Rendering
from cityorchestra_ld.web.site_ import Site
from cityorchestra_ld.web.snapshot import Snapshot
from cityorchestra_ld.web.vocabulary import known_label
from cityorchestra_ld.web.writing import iris_of, order, write_graph

_LABEL: Final = ox.NamedNode(f"{RDFS}label")


def of_thing(
    ask: Ask,
    site: Site,
    snapshot: Snapshot,
    iri: str,
    tell: Callable[[], Description],
    triples: Callable[[], Sequence[ox.Triple]],
    *,
    located: bool,
) -> tuple[Rendering, ...]:
    """List what can be made of a thing; a feature only of what has a geometry."""

    def labelled(form: Format, lang: Language) -> bytes:
        found = list(triples())
        return write_graph([*found, *_labels(found, snapshot, lang)], form, site.prefixes, iri)

    def bounded(form: Format, _: Language) -> bytes:
        return write_graph(snapshot.bounded(iri) or triples(), form, site.prefixes, iri)

    def framed(_: Format, __: Language) -> bytes:
        address = f"{ask.origin}{ask.root}/context.jsonld" if ask.origin else f"{site.territory.base_iri}context.jsonld"
        return frame(order(triples(), iri), iri, site.context, address)

    found = [
        Rendering(profile=LABELLED, make=labelled, by_language=True),
        Rendering(profile=CBD, make=bounded),
        Rendering(profile=FRAMED, make=framed),
        Rendering(profile=SCHEMA, make=lambda _, __: schema_org.write(tell(), snapshot)),
        Rendering(profile=NGSI, make=lambda _, __: entity(tell(), site.context)),
    ]
    if located:
        made = Rendering(
            profile=FEATURE, make=lambda _, lang: feature(tell(), snapshot.labels, lang, site.context), by_language=True
        )
        found.append(made)
    return tuple(found)


def _labels(triples: Sequence[ox.Triple], snapshot: Snapshot, lang: Language) -> list[ox.Triple]:
    """Name everything that triples mention, in one language where there is a choice."""
    found = []
    for iri in sorted({iri for triple in triples for iri in iris_of(triple)}):
        stored, known = snapshot.labels.stored(iri, lang), known_label(iri)
        if stored is not None:
            found.append(ox.Triple(ox.NamedNode(iri), _LABEL, stored))
        elif known is not None:
            found.append(ox.Triple(ox.NamedNode(iri), _LABEL, ox.Literal(known.get(lang), language=lang)))
    return found
