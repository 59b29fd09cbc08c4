#!/bin/sh
# install.sh PACKAGE ...: R, where the base has none, and R packages: Debian's builds where there are any, CRAN's otherwise.
set -eu
export DEBIAN_FRONTEND=noninteractive
cran=${CRAN:-https://cloud.r-project.org}
apt-get update -qq

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
  elif ! Rscript -e "quit(status = !requireNamespace('$package', quietly = TRUE))" 2>/dev/null; then
    others="$others $package"
  fi
done
if [ -n "$debian" ]; then
  # shellcheck disable=SC2086  # a list of names
  apt-get install -y -qq --no-install-recommends $debian
fi
for package in $others; do
  # CRAN's packages are compiled here
  command -v make >/dev/null || apt-get install -y -qq --no-install-recommends build-essential r-base-dev
  Rscript -e "install.packages('$package', repos = '$cran'); quit(status = !requireNamespace('$package', quietly = TRUE))"
done
rm -rf /var/lib/apt/lists/*
