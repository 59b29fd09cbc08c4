#!/bin/sh
# install.sh PACKAGE ...: Open MPI and an SSH server, Python with mpi4py and numpy, R with Rmpi, snow and foreach, and further packages of Debian.
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
install openmpi-bin openssh-server openssh-client python3 python3-numpy python3-mpi4py r-base-core r-cran-rmpi r-cran-snow r-cran-foreach "$@"
# Rmpi loads the library by the name that it has where programs are compiled
library=$(find /usr/lib -name 'libmpi.so.*' | sort | head -n 1)
[ -e "${library%%.so.*}.so" ] || ln -s "$(basename "$library")" "${library%%.so.*}.so"
# simferry makes keys for each job, in each container; those of the package would be the same in all that use the image
rm -f /etc/ssh/ssh_host_*
rm -rf /var/lib/apt/lists/*
