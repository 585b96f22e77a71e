"""The HTTP service: SPARQL, dereferencing, the catalogue and pages over one generation at a time."""
