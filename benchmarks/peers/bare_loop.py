"""python bare_loop.py FOLDER REPLICATIONS: simulate() of its one_output.py, called in a loop; prints microseconds of each call."""

import sys
import time

import numpy as np

sys.path.insert(0, sys.argv[1])
from one_output import simulate

if __name__ == "__main__":
    replications = int(sys.argv[2])
    rng = np.random.default_rng(1)
    begin = time.process_time()
    results = [simulate(rng) for _ in range(replications)]
    print((time.process_time() - begin) / replications * 1e6)
