"""Which of our languages a client reads: what the address says, then `Accept-Language`, then French."""

from __future__ import annotations

import re
from typing import Final

from cityorchestra_ld.web.http_ import Ask, Language

_RANGE: Final = re.compile(
    r"\s*([A-Za-z]{1,8}|\*)(?:-[A-Za-z0-9-]+)?\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?|\.\d{1,3}))?\s*(?:,|$)"
)


def spoken(ask: Ask) -> Language:
    """
    Choose the language of names in data forms (RFC 9110, section 12.5.4); pages go by their address alone.

    >>> spoken(Ask(headers={"accept-language": "de, en-GB;q=0.8, fr;q=0.5"}))
    'en'
    """
    if ask.said_language:
        return ask.said_language
    weights: dict[str, float] = {}
    for name, weight in _RANGE.findall(ask.headers.get("accept-language", "")[:1000]):
        weights[name.lower()] = max(weights.get(name.lower(), 0.0), float(weight or 1))
    usual = weights.get("*", 0.0)
    french, english = weights.get("fr", usual), weights.get("en", usual)
    return "en" if english > french else "fr"
