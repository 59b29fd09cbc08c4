"""A program of the training contract, and the image that has it."""

# PAUSE makes it slow; gain 5 fails, in the way of MODE
PROGRAM = r"""#!/bin/sh
gain=$(sed -n 's/.*"gain": "\([^"]*\)".*/\1/p' /opt/ml/input/config/hyperparameters.json)
trap 'exit 143' TERM
sleep "${PAUSE:-0}" & wait
for i in 3 2 1; do echo "step $i loss=0.$i"; done
if [ "$gain" = 5 ]; then
  echo "no licence for gain $gain"
  case "$MODE" in
    file) echo "no convergence" > /opt/ml/output/failure; exit 4;;
    folder) mkdir /opt/ml/output/failure; echo "bad data" > /opt/ml/output/failure/why.txt; exit 0;;
    code) exit 4;;
  esac
fi
echo model of $(hostname) > /opt/ml/model/m-$(hostname).txt
echo "out,seed,lines" > /opt/ml/output/data/result.csv
echo "$((gain * 2)),$SIMFERRY_SEED,$(wc -l < "$SIMFERRY_INPUT/training/data.csv")" >> /opt/ml/output/data/result.csv
"""
# what is written into a volume that the image declares is kept too
RECIPE = "FROM debian:bookworm-slim\nVOLUME /opt/ml/model\nCOPY train /usr/local/bin/train\nRUN chmod 755 /usr/local/bin/train\n"
