"""Write the rows of a report as the smallest workbook that spreadsheets open (ECMA-376, part 1, section 18)."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from typing import Final
from xml.sax.saxutils import escape

from cityorchestra_ld.model import ValidationReport
from cityorchestra_ld.validation.tables import HEADER, row

_SCHEMAS: Final = "http://schemas.openxmlformats.org"
_MAIN: Final = f"{_SCHEMAS}/spreadsheetml/2006/main"
_LINKS: Final = f"{_SCHEMAS}/officeDocument/2006/relationships"
_TYPES: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_RELATIONS: Final = f"{_SCHEMAS}/package/2006"


def _relation(kind: str, target: str) -> str:
    link = f'<Relationship Id="r1" Type="{_LINKS}/{kind}" Target="{target}"/>'
    return f'<Relationships xmlns="{_RELATIONS}/relationships">{link}</Relationships>'


_PARTS: Final = {
    "[Content_Types].xml": f'<Types xmlns="{_RELATIONS}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPES}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPES}.worksheet+xml"/></Types>',
    "_rels/.rels": _relation("officeDocument", "xl/workbook.xml"),
    "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_LINKS}">'
    '<sheets><sheet name="validation" sheetId="1" r:id="r1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": _relation("worksheet", "worksheets/sheet1.xml"),
}
_DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_LONGEST: Final = 32_000  # characters that a cell may hold


def to_xlsx(report: ValidationReport) -> bytes:
    """Write rows as a workbook of one sheet; every cell is text, so nothing is computed or rewritten."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in _PARTS.items():
            archive.writestr(name, _DECLARATION + content)
        archive.writestr("xl/worksheets/sheet1.xml", _DECLARATION + "".join(_sheet(report)))
    return out.getvalue()


def _sheet(report: ValidationReport) -> Iterator[str]:
    yield f'<worksheet xmlns="{_MAIN}"><sheetData>'
    for cells in (HEADER, *(row(result) for result in report.results)):
        written = (_cell(escape(_CONTROL.sub("", cell)[:_LONGEST])) for cell in cells)
        yield f"<row>{''.join(written)}</row>"
    yield "</sheetData></worksheet>"


def _cell(text: str) -> str:
    return f'<c t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'
