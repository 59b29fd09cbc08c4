def simulate(k, rng):
    return {f"out_{i}": x for i, x in enumerate(rng.standard_normal(k).tolist(), 1)}
