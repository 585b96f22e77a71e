"""City Orchestra LD: partners' CSV and JSON become one validated, versioned, dereferenceable knowledge graph."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("cityorchestra-ld")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
