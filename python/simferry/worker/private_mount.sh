#!/bin/sh
# private_mount.sh FOLDER COMMAND [ARGUMENT ...]
# Runs a command that finds FOLDER at /opt/ml/processing/output, in a mount namespace of its own: nobody else sees it there.
set -eu
folder=$1
shift
inside='
  set -eu
  folder=$1; shift
  if [ ! -d /opt/ml/processing/output ]; then
    # /opt as it is, and one more folder in it
    was=$(mktemp -d)
    mkdir -p /opt 2>/dev/null || true
    mount --rbind /opt "$was"
    mount -t tmpfs tmpfs /opt
    for entry in "$was"/* "$was"/.[!.]*; do
      [ -e "$entry" ] || continue
      name=/opt/${entry##*/}
      if [ -d "$entry" ]; then mkdir -p "$name"; else : > "$name"; fi
      [ "${entry##*/}" = ml ] || mount --rbind "$entry" "$name"
    done
    mkdir -p /opt/ml/processing/output
    umount -l "$was"; rmdir "$was"
  fi
  mount --bind "$folder" /opt/ml/processing/output
  exec "$@"
'
if [ "$(id -u)" = 0 ]; then
  exec unshare --mount -- sh -c "$inside" sh "$folder" "$@"
fi
exec unshare --map-root-user --mount -- sh -c "$inside" sh "$folder" "$@"
