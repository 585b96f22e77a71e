"""PROV record of a run: which bytes, which mapping, which software."""

from __future__ import annotations

from pathlib import Path

import pyoxigraph as ox

from cityorchestra_ld import __version__
from cityorchestra_ld.catalog.triples import Graph, both, lit
from cityorchestra_ld.model import Text
from cityorchestra_ld.runs import Run
from cityorchestra_ld.territory import Dataset, Territory

N = ox.NamedNode
_SHA256 = "http://spdx.org/rdf/terms#checksumAlgorithm_sha256"


def provenance(territory: Territory, dataset: Dataset, run: Run) -> Graph:
    """Describe the activity that made the current version (PROV-O, section 3)."""
    graph = Graph(territory.base_iri)
    iris = territory.iris
    activity = iris.id("run", run.id)
    version = iris.dataset(dataset.key, run.version)
    used = []
    for source in run.sources:
        entity = iris.id("source", source.sha256)
        checksum = f"{entity}/checksum"
        graph.add(checksum, ["spdx:Checksum"], spdx_algorithm=N(_SHA256), spdx_checksumValue=lit(source.sha256))
        graph.add(
            entity,
            ["prov:Entity"],
            rdfs_label=lit(source.label),
            spdx_checksum=N(checksum),
            dcat_byteSize=lit(source.size),
            prov_wasAttributedTo=N(dataset.publisher.iri),
        )
        used.append(N(entity))
    plan = iris.id("mapping", *dataset.key.split("/"))
    graph.add(plan, ["prov:Plan", "prov:Entity"], rdfs_label=lit(str(Path("mappings") / dataset.key / dataset.mapping.name)))
    software = iris.id("software", "cityorchestra-ld", __version__)
    graph.add(software, ["prov:SoftwareAgent"], rdfs_label=lit(f"cityorchestra_ld {__version__}"))
    association = f"{activity}/association"
    graph.add(association, ["prov:Association"], prov_agent=N(software), prov_hadPlan=N(plan))
    graph.add(
        activity,
        ["prov:Activity"],
        rdfs_label=both(Text(f"Chargement de {dataset.title.fr}", f"Load of {dataset.title.en}")),
        prov_startedAtTime=lit(run.started),
        prov_endedAtTime=lit(run.finished),
        prov_used=used,
        prov_wasAssociatedWith=N(software),
        prov_qualifiedAssociation=N(association),
    )
    graph.add(
        version,
        ["prov:Entity"],
        prov_wasGeneratedBy=N(activity),
        prov_generatedAtTime=lit(run.finished),
        prov_wasDerivedFrom=used,
    )
    return graph
