# sh train.sh PROGRAM [ARGUMENT ...], in a container of a training job
# Makes the folders that the worker knows from those of a training job, and runs the program, the worker, among them. Finished blocks,
# after the artifacts of their replications, go to /opt/ml/checkpoints: the service sends what is there to S3, and brings it back after
# an interruption. What earlier attempts have done is left out then. For any POSIX shell, with coreutils or busybox.
root=/opt/ml/processing
kept=/opt/ml/checkpoints
data=/opt/ml/input/data
stopped=
trap 'exit 143' TERM

fail() {
  echo "simferry: $1"
  echo "simferry: worker: $1" >/opt/ml/output/failure
  exit 1
}

mask=$(umask)
umask 0
mkdir -p $root/input $root/done $root/blocks $root/artifacts $root/scratch $kept/blocks $kept/artifacts /opt/ml/config &&
  cp -R $data/code $data/plan $root/input/ && cp /opt/ml/input/config/resourceconfig.json /opt/ml/config/ ||
  fail "its folders can't be made in /opt/ml by the image's user, $(id -un 2>/dev/null || id -u)"
for input in $data/*; do
  name=${input##*/}
  [ -e "$root/input/$name" ] || ln -s "$input" "$root/input/$name" || fail "$root/input/$name can't be made"
done

umask "$mask"

# blocks of earlier attempts, whose names begin with PLAN-JOB-ATTEMPT-
attempt=1
for block in $kept/blocks/*; do
  name=${block##*/}
  case $name in *[!0-9rf.-]*) continue ;; esac
  cp "$block" $root/done/ || fail "$block can't be read"
  name=${name#*-*-}
  [ "${name%%-*}" -lt $attempt ] || attempt=$((${name%%-*} + 1))
done
[ $attempt -eq 1 ] || echo "simferry: attempt $attempt goes on after what was finished before it"
export SIMFERRY_ATTEMPT=$attempt

# Keeps the blocks that are there now. Each appears whole.
keep() {
  new=
  for block in $root/blocks/*; do
    name=${block##*/}
    case $name in *[!0-9rf.-]*) continue ;; esac # a simulation's own
    [ -e "$kept/blocks/$name" ] || [ ! -f "$block" ] || new="$new $name"
  done
  [ -n "$new" ] || return 0
  cp -RPpu $root/artifacts/. $kept/artifacts/ || return 1
  for name in $new; do
    ln "$root/blocks/$name" "$kept/blocks/$name" 2>/dev/null ||
      { cp "$root/blocks/$name" $kept/.part && mv $kept/.part "$kept/blocks/$name"; } || return 1
  done
}

"$@" &
pid=$!
# an interrupt ends the worker, which writes what it has; the file says that the interrupt is not the simulation's own
trap 'stopped=1; { : >$root/scratch/stop; } 2>/dev/null; kill -INT $pid' TERM
while sleep 1; do keep; done &
keeper=$!
wait $pid
code=$?
while kill -0 $pid 2>/dev/null; do
  wait $pid
  code=$?
done
kill $keeper
wait $keeper 2>/dev/null
keep || fail "what is finished can't be written to $kept"
if [ -n "$stopped" ]; then exit 143; fi
if [ -f $root/message ]; then
  text=$(head -c 900 $root/message)
  echo "simferry: ${text:-disk: there is no room left on its disk}" >/opt/ml/output/failure
  [ "$code" -ne 0 ] || code=1
fi
exit "$code"
