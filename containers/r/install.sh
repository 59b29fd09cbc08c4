#!/bin/sh
# install.sh PACKAGE ...: R, where the base has none, and R packages: Debian's builds where there are any, CRAN's otherwise.
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
  export SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
fi

debian=""
if ! command -v Rscript >/dev/null; then
  debian="r-base-core"
fi
others=""
for package in "$@"; do
  name=r-cran-$(printf %s "$package" | tr '[:upper:]' '[:lower:]')
  # Debian's builds fit Debian's R only
  if [ -n "$debian" ] && apt-cache show "$name" >/dev/null 2>&1; then
    debian="$debian $name"
  elif [ -n "$debian" ] || ! Rscript -e "quit(status = !requireNamespace('$package', quietly = TRUE))" 2>/dev/null; then
    others="$others $package"
  fi
done
if [ -n "$debian" ]; then
  # shellcheck disable=SC2086  # a list of names
  install $debian
fi
if [ -n "$others" ]; then
  # CRAN's packages are compiled here
  [ -z "$debian" ] || install r-base-dev ca-certificates
  command -v make >/dev/null || install build-essential gfortran
fi
for package in $others; do
  Rscript -e "
    repos <- getOption('repos')
    if (identical(repos[['CRAN']], '@CRAN@')) repos <- c(CRAN = 'https://cloud.r-project.org')
    install.packages('$package', repos = repos)
    quit(status = !requireNamespace('$package', quietly = TRUE))"
done
rm -rf /var/lib/apt/lists/*
