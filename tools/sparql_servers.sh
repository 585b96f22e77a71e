#!/usr/bin/env bash
# Bring the SPARQL servers of others that the store is tried against: Fuseki (needs Java 17 and mvn), and as root on Debian, Virtuoso.
# The third one, the Oxigraph server, is a development dependency. What cannot be brought is said, and fails when required.
set -euo pipefail
version=5.6.0
folder="$HOME/.cache/cityorchestra"
jar="$folder/jena-fuseki-server-$version.jar"

missing() { echo "NO $1" >&2; }

if [ ! -s "$jar" ]; then
  if command -v java >/dev/null && command -v mvn >/dev/null; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$folder"
    if mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy \
      -Dartifact="org.apache.jena:jena-fuseki-server:$version" -DoutputDirectory="$work" >"$work/log" 2>&1; then
      mv "$work/jena-fuseki-server-$version.jar" "$jar"
    else
      tail -n 5 "$work/log" >&2
      missing "FUSEKI: mvn did not bring it"
    fi
  else
    missing "FUSEKI: java and mvn are needed"
  fi
fi

if ! command -v virtuoso-t >/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq >/dev/null &&
      DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends virtuoso-opensource-7-bin >/dev/null ||
      missing "VIRTUOSO: apt-get did not bring it"
  else
    missing "VIRTUOSO: install virtuoso-opensource-7-bin"
  fi
fi
