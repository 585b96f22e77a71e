"""What validation found in the published version of a dataset, read from the folder of its run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from cityorchestra_ld.errors import CityOrchestraError
from cityorchestra_ld.model import Text
from cityorchestra_ld.runs import Run, RunFolder
from cityorchestra_ld.web.site_ import Site
from cityorchestra_ld.web.snapshot import Snapshot
from cityorchestra_ld.web.terms import clean

_PLACES: Final = 20
_ORDER: Final = {"Violation": 0, "Warning": 1, "Info": 2}
_WORDS: Final = {
    "Violation": Text("bloquant", "blocking"),
    "Warning": Text("avertissement", "warning"),
    "Info": Text("remarque", "remark"),
}


class _Message(msgspec.Struct, frozen=True):
    fr: str
    en: str


class _Origin(msgspec.Struct, frozen=True):
    file: str | None = None
    row: int | None = None
    column: str | None = None


class _Result(msgspec.Struct, frozen=True):
    severity: str
    message: _Message
    shape: str = ""
    origins: tuple[_Origin, ...] = ()


class _Report(msgspec.Struct, frozen=True):
    results: tuple[_Result, ...] = ()
    focus_nodes: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """Results that say the same: how many, and where the first ones are. Cells are not shown: they may not be public."""

    severity: Text
    blocking: bool
    message: str
    count: int
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How good the published version of a dataset is."""

    run: Run
    records: int
    checked: int
    findings: tuple[Finding, ...]

    @property
    def clean(self) -> bool:
        """Tell whether validation found nothing at all."""
        return not (self.run.violations or self.run.warnings or self.run.infos)


def quality(site: Site, snapshot: Snapshot, key: str, lang: str) -> Quality | None:
    """Read what the run of the published version found; `None` when its folder is gone."""
    identity = snapshot.generation.meta.get(f"run:{key}")
    if identity is None:
        return None
    folder = RunFolder(site.territory.state)
    try:
        run = folder.load(identity)
        report = msgspec.json.decode((folder.root / identity / "report.json").read_bytes(), type=_Report)
    except (CityOrchestraError, OSError, msgspec.MsgspecError):
        return None
    groups: dict[tuple[str, str], list[_Result]] = {}
    for result in report.results:
        text = result.message.en if lang == "en" else result.message.fr
        groups.setdefault((result.severity, clean(text)), []).append(result)
    ordered = sorted(groups.items(), key=lambda item: (_ORDER.get(item[0][0], 3), -len(item[1])))
    return Quality(
        run=run,
        records=sum(run.records.values()),
        checked=report.focus_nodes,
        findings=tuple(
            Finding(
                _WORDS.get(severity, Text(severity, severity)),
                severity == "Violation",
                text,
                len(results),
                _places(results, lang),
            )
            for (severity, text), results in ordered
        ),
    )


def _places(results: list[_Result], lang: str) -> tuple[str, ...]:
    row, column = ("row", "column") if lang == "en" else ("ligne", "colonne")
    found = (
        ", ".join(
            part
            for part in (
                origin.file,
                f"{row} {origin.row}" if origin.row is not None else "",
                f"{column} {origin.column}" if origin.column else "",
            )
            if part
        )
        for result in results
        for origin in result.origins[:1]
    )
    return tuple(dict.fromkeys(clean(place) for place in found if place))[:_PLACES]
