"""python summary_pandas.py FOLDER: mean, sd and their standard error of each column of the CSV files of FOLDER, by the first one."""

import sys
from pathlib import Path

import pandas as pd

rows = pd.concat([pd.read_csv(file) for file in sorted(Path(sys.argv[1]).glob("*.csv"))], ignore_index=True)
grouped = rows.drop(columns="replication").groupby("condition")
print(pd.concat({"mean": grouped.mean(), "sd": grouped.std(), "mcse": grouped.sem()}, names=["of"]))
