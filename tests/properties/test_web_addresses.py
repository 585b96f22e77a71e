"""An IRI of ours and the path at which it is served say the same, for every reference that partners can come up with."""

from __future__ import annotations

import re
from urllib.parse import quote

import pyoxigraph as ox
from hypothesis import given
from hypothesis import strategies as st

from cityorchestra_ld.iris import Iris
from cityorchestra_ld.web.addresses import Addresses, is_web, spellings, to_uri

BASE = "https://id.example/"
IRIS, ADDRESSES = Iris(BASE), Addresses(BASE)
references = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=30)


@given(st.lists(references, min_size=1, max_size=3))
def test_a_minted_iri_is_found_again_by_its_own_path(segments):
    iri = IRIS.id("stop", *segments)
    assert iri in ADDRESSES.iris(ADDRESSES.path(iri))
    assert ADDRESSES.path(iri).isascii()


@given(references.filter(lambda text: text not in (".", "..")))
def test_a_minted_iri_is_found_by_its_letters_however_they_are_encoded(reference):
    iri = IRIS.id("stop", reference)
    assert iri in ADDRESSES.iris("/id/stop/" + quote(reference, safe=""))
    lower = re.sub("%..", lambda escape: escape.group().lower(), quote(reference, safe=""))
    assert iri in ADDRESSES.iris(f"/id/stop/{lower}")


@given(st.text(max_size=60))
def test_every_spelling_of_any_path_is_an_iri_below_the_base(path):
    for iri in ADDRESSES.iris(path):
        assert iri.startswith(BASE)
        ox.NamedNode(iri)


@given(st.text(max_size=40))
def test_a_separator_is_never_gained_nor_lost(path):
    assert {spelling.count("/") for spelling in spellings(path)} <= {path.count("/")}


@given(st.text(max_size=60))
def test_a_uri_is_ascii_and_stays_what_it_is(iri):
    assert to_uri(iri).isascii()
    assert to_uri(to_uri(iri)) == to_uri(iri)


@given(
    st.sampled_from(["javascript:", "data:", "JAVASCRIPT:", "vbscript:", "file://", " https://", "ftp://"]),
    st.text(max_size=20),
)
def test_only_web_addresses_become_links(scheme, rest):
    assert not is_web(scheme + rest)
    assert ADDRESSES.page(scheme + rest) is None


@given(st.sampled_from(["https://", "http://"]), st.text(max_size=20))
def test_an_address_of_others_goes_to_a_page_of_ours(scheme, rest):
    page = ADDRESSES.page(scheme + rest)
    assert page is not None
    assert page.startswith("/")
    assert not page.startswith("//")
    assert page.isascii()
