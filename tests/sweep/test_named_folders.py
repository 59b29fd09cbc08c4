"""Folders that a script expects where it is started."""

import pytest
from simferry.sweep.named_folders import named_folders


@pytest.mark.parametrize(
    ("text", "language", "found"),
    [
        ('setwd("results")', "r", ["results"]),
        ('setwd("./gone/deep/")', "r", ["gone", "gone/deep"]),
        ('os.chdir("gone")', "python", ["gone"]),
        ("cd gone && ./run > out.txt", "command", ["gone"]),
        ("./run > results/out.txt", "command", ["results"]),
        ('write.csv(x, paste0("results/out_", n, ".csv"))', "r", ["results"]),
        ('saveRDS(x, file.path("results", "deep", name))', "r", ["results"]),
        ("open(f'results/deep/{n}.csv')", "python", ["results", "results/deep"]),
        ('read.csv("gone/x.csv"); setwd("/tmp"); setwd("../results"); setwd("~/results")', "r", []),
        ('if (!dir.exists("results")) dir.create("results")\nsetwd("results")', "r", []),
        ('os.makedirs("figures")\nos.chdir("results")', "python", ["results"]),
        ('d = "results"\nos.mkdir(d)\nos.chdir("results")', "python", []),
        ('setwd("simferry-runs/x")', "r", []),
        ('setwd("results")\0', "r", []),
    ],
)
def test_folders_that_a_script_names(tmp_path, text, language, found):
    (tmp_path / "results" / "deep").mkdir(parents=True)
    (tmp_path / "figures").mkdir()
    assert named_folders(text.encode(), tmp_path, language, {"simferry-runs"}) == found
