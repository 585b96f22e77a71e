"""The page of everything that validation found in the published version of a dataset, and where."""

from __future__ import annotations

from cityorchestra_ld.web.http_ import Answer, Ask
from cityorchestra_ld.web.problems import not_found
from cityorchestra_ld.web.quality import quality
from cityorchestra_ld.web.single import single_page
from cityorchestra_ld.web.site_ import Site
from cityorchestra_ld.web.snapshot import Snapshot


def quality_page(ask: Ask, site: Site, snapshot: Snapshot) -> Answer:
    """Answer for `/quality/{partner}/{dataset}`; only for datasets whose data may be seen."""
    key = ask.path.removeprefix("/quality/")
    dataset = site.territory.datasets.get(key)
    if dataset is None or snapshot.graph_of(key) is None:
        raise not_found(ask)
    told = quality(site, snapshot, key, ask.language)
    if told is None:
        raise not_found(ask)

    def page() -> bytes:
        href = site.addresses.page(site.territory.iris.dataset(key))
        return site.pages.render("quality.html", ask, snapshot.generation, dataset=dataset, href=href, quality=told)

    return single_page(ask, site, snapshot, page)
