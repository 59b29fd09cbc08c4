#!/bin/sh
# install.sh PACKAGE ...: Octave, where the base has none, Debian's builds of Octave's packages, and Python with numpy for simferry's worker.
# Before that the certificate authorities, *.crt, that lie beside it.
set -eu
export DEBIAN_FRONTEND=noninteractive
here=$(dirname "$0")
install() { apt-get install -y -qq --no-install-recommends "$@" >/dev/null; }

apt-get update -qq
if [ -n "$(find "$here" -name '*.crt')" ]; then
  install ca-certificates
  cp "$here"/*.crt /usr/local/share/ca-certificates/
  update-ca-certificates >/dev/null 2>&1
fi
needed="python3 python3-numpy python3-joblib python3-cloudpickle"
command -v octave-cli >/dev/null || needed="$needed octave"
for package in "$@"; do
  needed="$needed octave-$package"
done
# shellcheck disable=SC2086  # a list of names
install $needed
rm -rf /var/lib/apt/lists/*
