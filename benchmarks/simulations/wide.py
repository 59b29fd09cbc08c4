"""20,000 outputs, as of a simulation study in genetics."""

NAMES = [f"out_{i}" for i in range(20_000)]


def simulate(n, rng):
    return dict(zip(NAMES, rng.normal(n, size=len(NAMES)).tolist(), strict=True))
