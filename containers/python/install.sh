#!/bin/sh
# Python, where the base has none, and what requirements.txt beside this file names, in /opt/simulation, which belongs to the user
# simulation: pip installs more there when a container starts.
# Before that the certificate authorities, *.crt, that lie beside it.
set -eu
export DEBIAN_FRONTEND=noninteractive
here=$(dirname "$0")
install() { apt-get install -y -qq --no-install-recommends "$@" >/dev/null; }

apt-get update -qq
install ca-certificates
command -v python3 >/dev/null || install python3
python3 -c 'import ensurepip, venv' 2>/dev/null || install python3-venv # Debian packages these two apart from Python
if [ -n "$(find "$here" -name '*.crt')" ]; then
  cp "$here"/*.crt /usr/local/share/ca-certificates/
  update-ca-certificates >/dev/null 2>&1
fi
rm -rf /var/lib/apt/lists/*

export PIP_CERT=/etc/ssl/certs/ca-certificates.crt SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
python3 -m venv /opt/simulation
/opt/simulation/bin/pip install --no-cache-dir --quiet --disable-pip-version-check -r "$here/requirements.txt"
id simulation >/dev/null 2>&1 || useradd --create-home simulation
chown -R simulation /opt/simulation
