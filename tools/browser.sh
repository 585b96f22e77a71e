#!/usr/bin/env bash
# Walk the pages in chromium against a server of our own. Without chromium: a loud skip, a failure when BROWSER=required.
set -euo pipefail
cd "$(dirname "$0")/.."
port=${BROWSER_PORT:-8987}

missing() {
  if [ "${BROWSER:-}" = required ]; then echo "BROWSER TESTS CANNOT RUN: $1" >&2; exit 1; fi
  echo "BROWSER TESTS SKIPPED: $1" >&2
  exit 0
}

command -v node >/dev/null || missing "node is not installed"
chromium=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || true)}
if [ -z "$chromium" ] && [ "${BROWSER:-}" = required ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null
  chromium=$(command -v chromium || true)
fi
[ -n "$chromium" ] || missing "chromium is not installed"

.venv/bin/cityorchestra run --all >/dev/null
.venv/bin/cityorchestra serve --port "$port" >/dev/null 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null; wait "$server" 2>/dev/null || true' EXIT
for _ in $(seq 120); do
  curl --silent --fail --output /dev/null "http://127.0.0.1:$port/-/ready" && break
  kill -0 "$server" || { echo "the server does not start" >&2; exit 1; }
  sleep 0.5
done
BASE="http://127.0.0.1:$port" CHROMIUM="$chromium" npm --prefix frontend run --silent browser
