"""City Orchestra LD: partners' CSV and JSON become one validated, versioned, dereferenceable knowledge graph."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str


def __getattr__(name: str) -> str:
    """Look the version up when it is asked for: query workers start without reading package metadata."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("cityorchestra-ld")
    except PackageNotFoundError:  # a source tree that was never installed
        return "0+unknown"
