# sh start.sh FOLDER PROGRAM [ARGUMENT ...], in a container
# Runs the user's setup script, which lies beside this file, then becomes the program: the worker. FOLDER: the script's working
# folder, below that of the code. Images need not have bash: this is for any POSIX shell, with coreutils or busybox.
code=${0%/simferry_worker/start.sh}
folder=$1
shift
script=$code/simferry_worker/before

# `pip install --user`, pipx and uv put programs there, for the script and for the simulation
PATH=${HOME:-/root}/.local/bin:$PATH
export PATH

# what the first line asks for, which need not be executable; else the shell that is there, which stops at the first error
read -r first <"$script"
case $first in
  '#!'*) shell=${first#??} ;;
  *)
    shell='sh -e'
    if command -v bash >/dev/null 2>&1; then shell='bash -e'; fi
    ;;
esac

as_text() {
  if command -v iconv >/dev/null 2>&1; then iconv -c -f UTF-8 -t UTF-8; else LC_ALL=C tr -cd '\011\012\040-\176'; fi |
    LC_ALL=C tr -d '\000-\010\013-\037'
}

own=$(mktemp -d) && mkfifo "$own/printed" || exit 1
{
  tee "$own/log" <"$own/printed"
  : >"$own/copied"
} &
echo "simferry: the setup script begins"
began=$(date +%s)
(
  cd "$code/$folder" || exit 1
  # apt-get asks nothing; pip may install beside Debian's packages, in a container that nobody uses later
  export DEBIAN_FRONTEND=noninteractive PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore
  set -f
  # shellcheck disable=SC2086  # a program and its arguments
  exec $shell "$script"
) </dev/null >"$own/printed" 2>&1 &
# the first process of a container has to ask for the signals that stop a job
trap 'exit 143' INT TERM
wait $!
status=$?
trap - INT TERM

# all that it has printed; a program that goes on may hold the pipe open
tries=0
while [ ! -e "$own/copied" ] && [ $tries -lt 20 ]; do
  sleep 0.1
  tries=$((tries + 1))
done

if [ "$status" -ne 0 ]; then
  # for the driver: exit code, user, the last lines
  {
    echo "before: $status $(id -un 2>/dev/null || id -u)"
    # services take 1,024 bytes, which have to be UTF-8
    tr '\r' '\n' <"$own/log" | tail -n 10 | tail -c 900 | as_text
  } >"$own/message"
  for place in "$code/../.." /opt/ml/output; do
    if [ -d "$place" ]; then cp "$own/message" "$place/message"; fi
  done
  echo "simferry: the setup script failed with exit code $status"
  exit 1
fi
if [ -e "$own/copied" ]; then rm -rf "$own"; fi
echo "simferry: the setup script took $(($(date +%s) - began)) s"
exec "$@"
