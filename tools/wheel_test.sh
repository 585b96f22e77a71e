#!/usr/bin/env bash
# Install the wheel alone in an empty environment, and load the reference territory from another folder.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=${PYTHON:-$root/.venv/bin/python}
"$python" -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$work/dist" "$root"
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --constraint "$root/constraints.txt" "$work"/dist/*.whl
if [ -f "$root/cityorchestra_ld/web/static/build/app.js" ]; then # what `make frontend` made travels with the wheel
  "$work/venv/bin/python" -c 'from cityorchestra_ld.web.pages import STATIC; assert (STATIC / "build" / "app.js").exists()' ||
    { echo "the wheel lacks the bundled scripts" >&2; exit 1; }
fi
mkdir "$work/elsewhere"
cd "$work/elsewhere"
env -u CITYORCHESTRA_TERRITORY -u CITYORCHESTRA_STATE "$work/venv/bin/cityorchestra" run --all
echo 'SELECT (COUNT(DISTINCT ?c) AS ?n) { ?c a <http://rdf.insee.fr/def/geo#Commune> ;
  <http://rdf.insee.fr/def/geo#subdivisionDe> <https://ld.cityorchestra.example/id/epci/243500139> }' |
  "$work/venv/bin/cityorchestra" query - --format csv | tr -d '\r' | grep -qx 43
echo "the wheel alone loads the territory: 43 communes"
