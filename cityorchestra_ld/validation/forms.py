"""Check the form of years, months and days, which engines take as any text: a pattern beside `sh:datatype`, and its results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from cityorchestra_ld.namespaces import SH, XSD
from cityorchestra_ld.validation.shapes import Shape, ShapesGraph
from cityorchestra_ld.validation.worker import Row

_ZONE: Final = "(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9]|[+-]14:00)?$"
_YEAR, _MONTH, _DAY = "-?([1-9][0-9]{3,}|0[0-9]{3})", "(0[1-9]|1[0-2])", "(0[1-9]|[12][0-9]|3[01])"
_FORMS: Final = {
    f"{XSD}gYear": f"^{_YEAR}{_ZONE}",
    f"{XSD}gYearMonth": f"^{_YEAR}-{_MONTH}{_ZONE}",
    f"{XSD}gMonthDay": f"^--((0[13578]|1[02])-{_DAY}|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|[12][0-9])){_ZONE}",
    f"{XSD}gDay": f"^---{_DAY}{_ZONE}",
    f"{XSD}gMonth": f"^--{_MONTH}{_ZONE}",
}
_PATTERN, _DATATYPE = f"{SH}PatternConstraintComponent", f"{SH}DatatypeConstraintComponent"


def form_of(shape: Shape) -> str | None:
    """Return the pattern (XML Schema, part 2, section 3.3) that stands for the datatype of a shape without one of its own."""
    if "pattern" in shape.parameters:
        return None
    return next((_FORMS[value.value] for value in shape.parameters.get("datatype", ()) if value.value in _FORMS), None)


def settle(rows: Iterable[Row], shapes: ShapesGraph) -> Iterator[Row]:
    """Turn results of our own patterns into results of `sh:datatype`, one for each value that is wrong in either way."""
    known = {shape.id for shape in shapes.shapes.values() if form_of(shape) is not None}
    late: list[Row] = []
    told: Counter[tuple[str, str, str | None]] = Counter()
    for row in rows:
        if row.shape not in known or row.component not in (_PATTERN, _DATATYPE):
            yield row
        elif row.component == _PATTERN:
            late.append(row._replace(component=_DATATYPE))
        else:
            told[row.shape, row.focus, row.value] += 1
            yield row
    for row in late:
        key = (row.shape, row.focus, row.value)
        if told[key]:
            told[key] -= 1
        else:
            yield row
