"""Write constraints.txt from the packages installed in this environment: names and versions, no addresses."""

from importlib.metadata import distributions
from pathlib import Path

OURS = {"cityorchestra-ld", "pip", "setuptools", "wheel"}


def main() -> None:
    """Pin what is installed."""
    pins = sorted({f"{d.metadata['Name']}=={d.version}" for d in distributions()} - set(), key=str.lower)
    lines = [pin for pin in pins if pin.split("==")[0].lower().replace("_", "-") not in OURS]
    head = "# Versions that are tested together. Made by tools/pin.py; no addresses, so that any index serves.\n"
    Path("constraints.txt").write_text(head + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
