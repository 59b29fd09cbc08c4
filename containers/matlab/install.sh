#!/bin/sh
# install.sh system PACKAGE ...            Debian's packages, and Python for `train`. Before that the certificate authorities, *.crt, that lie beside it.
# install.sh runtime INSTALLER PROGRAM     what MATLAB Compiler made, in /opt/matlab; /opt/matlab/program leads to the executable
set -eu
export DEBIAN_FRONTEND=noninteractive
here=$(dirname "$0")
install() { apt-get install -y -qq --no-install-recommends "$@" >/dev/null; }
stop() {
  echo "containers/matlab: $*" >&2
  exit 1
}

task=$1
shift
if [ "$task" = system ]; then
  apt-get update -qq
  install ca-certificates
  if [ -n "$(find "$here" -name '*.crt')" ]; then
    cp "$here"/*.crt /usr/local/share/ca-certificates/
    update-ca-certificates >/dev/null 2>&1
  fi
  install python3 "$@"
  rm -rf /var/lib/apt/lists/*
  exit
fi

installer=$1 program=$2
[ -n "$installer" ] || stop "name the installer: --build-arg INSTALLER=FILE, a file beside the Dockerfile or its address"
[ -n "$program" ] || stop "name the executable: --build-arg PROGRAM=NAME"
cd "$here"
case $installer in
http://* | https://*)
  python3 -c 'import sys, urllib.request; urllib.request.urlretrieve(*sys.argv[1:])' "$installer" "$(basename "$installer")" ||
    stop "$installer can't be fetched"
  installer=$(basename "$installer")
  ;;
esac
[ -f "$installer" ] || stop "there is no installer $installer beside the Dockerfile"
case $installer in
*.zip)
  apt-get update -qq
  install unzip
  unzip -q "$installer" -d runtime
  installer=runtime/install
  ;;
esac
chmod 755 "$installer"
"./$installer" -mode silent -agreeToLicense yes -destinationFolder /opt/matlab
[ -n "$(find /opt/matlab -type d -path '*/runtime/glnxa64')" ] || stop "the installer has made no runtime in /opt/matlab"
if [ -f "$program" ]; then
  mkdir -p /opt/matlab/application
  cp "$program" /opt/matlab/application/
fi
found=$(find /opt/matlab -type f -name "$program")
[ "$(printf '%s\n' "$found" | grep -c .)" = 1 ] ||
  stop "the executable $program has to be beside the Dockerfile, or in what the installer installs, once: ${found:-it is not there}"
chmod 755 "$found"
ln -s "$found" /opt/matlab/program
