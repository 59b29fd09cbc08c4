"""python collect_pandas.py FOLDER OUT: the CSV files of FOLDER, read one after the other into one Parquet file."""

import sys
from pathlib import Path

import pandas as pd

frames = [pd.read_csv(file) for file in sorted(Path(sys.argv[1]).glob("*.csv"))]
pd.concat(frames, ignore_index=True).to_parquet(sys.argv[2])
