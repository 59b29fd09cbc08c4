def simulate(n, rng):
    return {"mean": rng.standard_normal(n).mean()}
