"""Measures by pandas, by group: published formulas, no jackknife. Prints the seconds after reading."""

import sys
import time

import numpy as np
import pandas as pd

rows = pd.read_csv(sys.argv[1])
begin = time.perf_counter()
z, truth = 1.959963984540054, 0.5
rows["error"] = rows["b"] - truth
rows["relative"] = rows["error"] / truth
rows["squared"] = rows["error"] ** 2
rows["variance"] = rows["se"] ** 2
rows["lower"], rows["upper"] = rows["b"] - z * rows["se"], rows["b"] + z * rows["se"]
rows["width"] = rows["upper"] - rows["lower"]
rows["covered"] = (rows["lower"] <= truth) & (rows["upper"] >= truth)
rows["rejected"] = rows["b"].abs() >= z * rows["se"]
group = rows.groupby(["condition", "method"])
middle = group["b"].transform("mean")
rows["centred"] = (rows["lower"] <= middle) & (rows["upper"] >= middle)
names = ["b", "error", "relative", "squared", "variance", "width", "covered", "rejected", "centred"]
found = rows.groupby(["condition", "method"])[names].agg(["mean", "var", "count"])
n = found["b", "count"]
out = pd.DataFrame({"bias": found["error", "mean"], "bias_mcse": np.sqrt(found["error", "var"] / n)})
out["empirical_se"] = np.sqrt(found["b", "var"])
out["empirical_se_mcse"] = out["empirical_se"] / np.sqrt(2 * (n - 1))
out["mse"], out["mse_mcse"] = found["squared", "mean"], np.sqrt(found["squared", "var"] / n)
for name in ("covered", "rejected", "centred"):
    share = found[name, "mean"]
    out[name], out[f"{name}_mcse"] = share, np.sqrt(share * (1 - share) / n)
out["model_se"] = np.sqrt(found["variance", "mean"])
out["relative_error"] = 100 * (out["model_se"] / out["empirical_se"] - 1)
out["median"] = group["b"].median()
print(time.perf_counter() - begin)
