"""Explain a query before it runs: what it may see and why, what each of its patterns matches, what multiplies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
import orjson

from cityorchestra_ld.errors import CityOrchestraError
from cityorchestra_ld.model import Generation, View
from cityorchestra_ld.store import Inspected, inspect
from cityorchestra_ld.store.federating import without
from cityorchestra_ld.store.lexer import place
from cityorchestra_ld.store.names import words_of
from cityorchestra_ld.store.patterns import Pattern, find_patterns
from cityorchestra_ld.store.searching import MOST, find_searches, values
from cityorchestra_ld.web.callers import Caller
from cityorchestra_ld.web.http_ import Answer
from cityorchestra_ld.web.service import Service

_COUNTED: Final = 20  # patterns
_SECONDS: Final = 2.0  # for each
_COUNT_TYPE: Final = "application/sparql-results+json"


class _Cell(msgspec.Struct):
    value: str


Decide = Callable[[Generation], View]


class _Rows(msgspec.Struct):
    bindings: list[Mapping[str, _Cell]]


class _Counted(msgspec.Struct):
    results: _Rows


async def explain(service: Service, inspected: Inspected, decide: Decide, caller: Caller) -> Answer:
    """Answer with what is known of a query without running it: its view, its patterns with their counts, warnings."""
    pool, limits = service.pool, service.site.territory.limits
    generation = pool.generation
    seen = decide(generation)
    blocks = service.federation.blocks(inspected.text) if inspected.leaves else ()
    patterns = find_patterns(without(inspected.text, blocks))
    counts: list[int | None] = []
    for pattern in patterns[:_COUNTED]:
        counts.append(await _count(service, inspected, pattern, decide, caller))
        await asyncio.sleep(0)
    sizes = {info.graph: info.triples for info in generation.graphs}
    body = {
        "form": inspected.form,
        "generation": generation.number,
        "view": {
            "name": seen.name,
            "reasons": seen.reasons,
            "default_graphs": [{"graph": name, "triples": sizes.get(name, 0)} for name in seen.default_graphs],
            "named_graphs": [{"graph": name, "triples": sizes.get(name, 0)} for name in seen.named_graphs],
        },
        "limits": {
            "seconds": limits.query_seconds, "memory_mb": limits.query_memory_mb, "rows": limits.result_rows,
            "query_bytes": limits.query_bytes, "nesting": limits.query_nesting,
        },
        "patterns": [
            {"text": pattern.text, "line": place(inspected.text, pattern.at).line, "graph": pattern.graph, "matches": count}
            for pattern, count in zip(patterns, [*counts, *([None] * len(patterns))], strict=False)
        ],
        "searches": _searches(service, inspected),
        "services": [
            {
                "name": service.federation.services[block.address].name, "address": block.address, "silent": block.silent,
                "line": place(inspected.text, block.at).line, "sent": block.asked,
            }
            for block in blocks
        ],
        "allowed_services": [
            {
                "name": one.name, "address": one.address, "licence": one.licence, "seconds": one.seconds, "rows": one.rows,
                "max_bytes": one.max_bytes,
            }
            for one in service.federation.services.values()
        ],
        "warnings": _warnings(patterns, counts),
        "note": "The engine orders patterns itself and gives no plan; 'matches' counts each pattern alone, null when unknown.",
    }  # fmt: skip
    headers = (("Content-Type", "application/json"), ("Cache-Control", "no-store"), ("Vary", "Accept, Authorization"))
    return Answer(200, headers, orjson.dumps(body, option=orjson.OPT_INDENT_2))


def _searches(service: Service, inspected: Inspected) -> list[dict[str, object]]:
    """Say what becomes of each search by name."""
    found = find_searches(inspected.text, service.site.prefixes["co"])
    return [
        {
            "line": place(inspected.text, search.at).line, "words": words_of(search.text), "language": search.language or None,
            "graph": search.graph or None, "most": MOST,
            "becomes": " ".join(values(search, ()).split()).replace("{ }", "{ … what the index of names finds … }"),
        }
        for search in (found.found if found else ())
    ]  # fmt: skip


async def _count(service: Service, inspected: Inspected, pattern: Pattern, decide: Decide, caller: Caller) -> int | None:
    """Count what one pattern matches alone; nothing when that takes too long or cannot be asked alone."""
    prologue = "".join(f"PREFIX {name}: <{iri}>\n" for name, iri in inspected.prefixes.items())
    inner = f"GRAPH {pattern.graph} {{ {pattern.text} }}" if pattern.graph else pattern.text
    try:
        asked = inspect(f"{prologue}SELECT (COUNT(*) AS ?matches) {{ {inner} }}", service.site.territory.limits)
        stream = await service.pool.query(
            asked, decide, _COUNT_TYPE, deadline=_SECONDS, client=caller.name,
            spent=lambda seconds: service.budget.charge(caller.name, seconds),
        )  # fmt: skip
        counted = msgspec.json.decode(await stream.read(), type=_Counted)
    except CityOrchestraError:
        return None
    return int(counted.results.bindings[0]["matches"].value)


def _warnings(patterns: Sequence[Pattern], counts: Sequence[int | None]) -> list[str]:
    """Say what makes queries slow: patterns that share no variable, patterns that match nothing."""
    said = []
    for number in sorted({pattern.group for pattern in patterns}):
        parts = _components([pattern for pattern in patterns if pattern.group == number])
        if len(parts) > 1:
            first = " and ".join(f"'{part[0].text}'" for part in parts[:3])
            said.append(f"{first} share no variable: their matches multiply.")
    for pattern, count in zip(patterns, counts, strict=False):
        if count == 0:
            said.append(f"'{pattern.text}' matches nothing.")
    return said


def _components(patterns: Sequence[Pattern]) -> list[list[Pattern]]:
    """Gather patterns that are linked by variables; a pattern without variables multiplies nothing."""
    parts: list[tuple[set[str], list[Pattern]]] = []
    for pattern in patterns:
        if not pattern.variables:
            continue
        touching = [part for part in parts if part[0] & pattern.variables]
        merged = (set(pattern.variables).union(*(part[0] for part in touching)),
                  [*(found for part in touching for found in part[1]), pattern])  # fmt: skip
        parts = [part for part in parts if part not in touching] + [merged]
    return [part[1] for part in parts]
