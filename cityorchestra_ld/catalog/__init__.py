"""What is published, described: DCAT records, provenance, quality, and the territory's own graphs."""
