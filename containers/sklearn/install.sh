#!/bin/sh
# install.sh PACKAGE ...: Debian's scikit-learn, Flask, gunicorn and nginx, and Debian's builds of more Python packages.
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
# cloudpickle is for simferry's worker: functions in Python run in this image too
needed="nginx-light gunicorn python3-flask python3-sklearn python3-cloudpickle"
for package in "$@"; do
  needed="$needed python3-$package"
done
# shellcheck disable=SC2086  # a list of names
install $needed
rm -rf /var/lib/apt/lists/*
