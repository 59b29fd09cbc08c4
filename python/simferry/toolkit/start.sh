#!/bin/sh
# Runs the user's script in any image that has Python 3: sh start.sh ARCHIVE ENTRY-POINT
here=$(CDPATH= cd "$(dirname "$0")" && pwd)
for python in python3 python; do
  if command -v "$python" >/dev/null 2>&1; then
    PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}" PYTHONDONTWRITEBYTECODE=1 exec "$python" -m simferry_toolkit.script "$@"
  fi
done
why="the image has no Python 3 (python3 on the PATH), and a script as entry_point needs it"
echo "$why" >&2
output=${SAGEMAKER_BASE_DIR:-/opt/ml}/output
mkdir -p "$output" && printf %s "$why" >"$output/failure"
exit 1
