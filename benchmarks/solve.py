"""Root finding over noisy means: how near the root is after so many replications, and whether its interval covers.

    python benchmarks/solve.py [studies]     400 studies of each main case take some minutes; other cases have a quarter of them

Replications are drawn from known functions, 8 evaluations of 100 at once, which end after half-normal times. The bound is that of the
information in replications that are all at the root of a known slope. Beside it a probabilistic bisection as in SimDesign's SimSolve:
one evaluation after the other, 15 of 50 replications, then more up to 500; its own median, and a probit regression with a quadratic term
through its points.
"""

import heapq
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy import optimize, special, stats
from simferry.search.roots import Root, RootFinder
from simferry.search.sought import Sought

LOOKS = (2_000, 5_000, 10_000)
AT_ONCE, BATCH = 8, 100
CAP = 0.7  # how sure a step of the bisection may be: the best of 0.7, 0.8, 0.9 and 0.999
N = np.arange(501)


def t_power(effect: float) -> np.ndarray:
    """Power of the t-test of two groups of each size up to 500, by the noncentral t distribution."""
    n = np.maximum(N, 2)
    beyond, shift = stats.t.ppf(0.975, 2 * n - 2), effect * np.sqrt(n / 2)
    upper, lower = stats.nct.sf(beyond, 2 * n - 2, shift), stats.nct.cdf(-beyond, 2 * n - 2, shift)
    return np.clip(np.nan_to_num(upper, nan=1.0) + np.nan_to_num(lower), 0, 1)  # NaN: where it is 1 in all digits


def mean_width(n: np.ndarray) -> np.ndarray:
    """Mean width of the 95 % interval of a difference of two means, by groups' size."""
    c4 = np.exp(special.gammaln(n - 0.5) - special.gammaln(n - 1)) / np.sqrt(n - 1)
    return np.asarray(2 * stats.t.ppf(0.975, 2 * n - 2) * np.sqrt(2 / n) * c4)


@dataclass
class Case:
    """A measure with a known root. draw(rng, n, count): replications of it."""

    name: str
    curve: np.ndarray  # by n
    target: float
    draw: Callable[[np.random.Generator, int, int], np.ndarray]
    sd: float  # of a replication at the root
    options: dict = field(default_factory=dict)

    @property
    def true(self) -> float:
        sign = np.sign(self.curve[-1] - self.curve[10])
        return float(optimize.brentq(lambda n: sign * (np.interp(n, N, self.curve) - self.target), 10, 500))

    @property
    def bound(self) -> float:
        """Standard error of the root times the square root of the number of replications."""
        at = int(self.true)
        return self.sd / abs(self.curve[at + 1] - self.curve[at])


def rate(name: str, curve: np.ndarray, **options: object) -> Case:
    return Case(
        name,
        curve,
        0.8,
        lambda rng, n, count: rng.random(count) < curve[n],
        0.4,
        {"kind": "rate", "confirm": 0, **options},
    )


def width_case() -> Case:
    curve = mean_width(np.maximum(N, 2).astype(float))
    root = optimize.brentq(lambda n: np.interp(n, N, curve) - 0.5, 10, 500)

    def draw(rng: np.random.Generator, n: int, count: int) -> np.ndarray:
        pooled = np.sqrt(rng.chisquare(2 * n - 2, count) / (2 * n - 2))
        return 2 * stats.t.ppf(0.975, 2 * n - 2) * np.sqrt(2 / n) * pooled

    return Case("width 0.5", curve, 0.5, draw, 0.5 / math.sqrt(4 * root - 4), {"kind": "positive", "confirm": 0})


def solve(case: Case, seed: int) -> tuple[dict[int, Root], float]:
    """The root at each look and at the end, and the seconds that asks and tells took."""
    options = {"most": LOOKS[-1], **case.options}
    finder = RootFinder(Sought("n", 10, 500, case.name, case.target, batch=BATCH, whole=True, **options), seed=seed)
    rng, rows, queue = np.random.default_rng([seed, 1]), {}, []
    clock, asked, done, seconds, out = 0.0, 0, 0, 0.0, {}
    while True:
        begin = time.perf_counter()
        while len(queue) < AT_ONCE and (point := finder.ask()) is not None:
            asked += 1
            heapq.heappush(queue, (clock + abs(rng.normal()), asked, point))
        seconds += time.perf_counter() - begin
        if not queue:
            return {**out, 0: finder.roots[0]}, seconds / asked
        clock, _, point = heapq.heappop(queue)
        rows.setdefault(point["n"], []).append(case.draw(rng, point["n"], BATCH))
        values = np.concatenate(rows[point["n"]]).astype(float)
        finder.tell(point, float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values)), len(values))
        done += BATCH
        if done in LOOKS:
            out[done] = finder.roots[0]


def bisect(case: Case, seed: int) -> dict[int, tuple[float, float]]:
    """Probabilistic bisection: at each look the median, and the root of the regression through its points."""
    rng, out, done, step = np.random.default_rng([seed, 1]), {}, 0, 0
    weights = np.full(491, 1 / 491)
    hits, counts = np.zeros(501), np.zeros(501)
    while done < LOOKS[-1]:
        n = 10 + int(np.searchsorted(np.cumsum(weights), 0.5))
        batch = 50 if step < 15 else min(500, 50 * (step - 13))
        new = case.draw(rng, n, batch).sum()
        hits[n] += new
        counts[n] += batch
        step, done = step + 1, done + batch
        above = special.ndtr((new / batch - 0.8) / math.sqrt(0.16 / batch))  # how likely the root is at n or below
        above = min(max(above, 1 - CAP), CAP)
        left = N[10:] <= n
        weights = weights * np.where(left, above, 1 - above)
        weights /= weights.sum()
        for look in LOOKS:
            if done >= look and look not in out:
                out[look] = (10 + int(np.searchsorted(np.cumsum(weights), 0.5)), regression(hits, counts))
    return out


def regression(hits: np.ndarray, counts: np.ndarray) -> float:
    """Where the probit regression on 1, n and n² through some shares is 0.8."""
    used = counts > 0
    x = (N[used] - 255.0) / 245
    k, total = hits[used], counts[used]
    columns = np.stack([np.ones_like(x), x, x * x], 1)

    def loss(b: np.ndarray) -> tuple[float, np.ndarray]:
        eta = columns @ b
        hit, miss = special.log_ndtr(eta), special.log_ndtr(-eta)
        density = -eta * eta / 2 - math.log(2 * math.pi) / 2
        slope = k * np.exp(density - hit) - (total - k) * np.exp(density - miss)
        return -float(k @ hit + (total - k) @ miss) / total.sum(), -(columns.T @ slope) / total.sum()

    b = optimize.minimize(loss, np.array([2.0, 3.0, 0.0]), jac=True, method="BFGS").x
    grid = (np.arange(10, 500, 0.05) - 255) / 245
    up = np.flatnonzero(np.diff((b[0] + b[1] * grid + b[2] * grid**2 >= special.ndtri(0.8)).astype(int)) > 0)
    return float(10 + 0.05 * up[0]) if len(up) else 500.0


def lines(case: Case, studies: int) -> dict[int, tuple[float, float]]:
    """Prints a case; the RMSE and the coverage at each look."""
    found, seconds = zip(*(solve(case, seed) for seed in range(studies)), strict=True)
    out = {}
    print(f"\n{case.name}: true n {case.true:.2f}, {studies} studies, {1000 * np.mean(seconds):.1f} ms an ask")
    looks = [look for look in LOOKS if all(look in one for one in found)]
    for look in looks if "within" not in case.options else (0,):
        roots = [one[look] for one in found]
        off = np.array([root.root for root in roots]) - case.true
        known = ~np.isnan(off)
        inside = np.array([root.lower <= case.true <= root.upper for root in roots])
        rmse = math.sqrt(np.mean(off[known] ** 2))
        used = np.mean([root.replications for root in roots])
        out[look] = rmse, float(inside.mean())
        line = np.mean([root.shape == "line" for root in roots])
        print(
            f"  {used:7,.0f} replications: RMSE {rmse:6.3f}, median error {np.median(abs(off[known])):6.3f} "
            f"(bound {case.bound / math.sqrt(used):5.3f}), bias {off[known].mean():+6.3f}, "
            f"95 % intervals cover {inside.mean():.3f}, a line {line:.2f}, told as none {np.mean([bool(r.note) for r in roots]):.2f}"
            + (f", without a root {1 - known.mean():.3f}" if not known.all() else "")
        )
        confirmed = [root for root in roots if not math.isnan(root.value)]
        if len(confirmed) == len(roots) and "within" in case.options:
            z = np.array([(root.value - case.curve[root.answer]) / root.mcse for root in roots])
            right = np.mean([root.answer == math.ceil(case.true) for root in roots])
            near = np.mean([abs(root.answer - math.ceil(case.true)) <= 1 for root in roots])
            print(
                f"          the answer is right in {right:.2f}, at most 1 off in {near:.2f}; "
                f"its value less the true one, in MCSE: mean {z.mean():+.2f}, sd {z.std():.2f}"
            )
    return out


def main() -> None:
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    few = max(10, studies // 4)
    main_case = rate("power, d = 0.5", t_power(0.5))
    found = lines(main_case, studies)
    bisected = [bisect(main_case, seed) for seed in range(studies)]
    for look in LOOKS:
        off = np.array([one[look] for one in bisected]) - main_case.true
        median, through = np.sqrt(np.mean(off**2, axis=0))
        print(
            f"  bisection, {look:6,} replications: RMSE {median:6.3f} by its median, {through:6.3f} by the regression"
        )
    covers = [found[LOOKS[-1]][1]]
    ended = lines(rate("power, d = 0.5, within 2", t_power(0.5), within=2.0, confirm=500), studies)
    covers.append(ended[0][1])
    n = np.sqrt(N)
    for case in (
        rate("power, d = 0.8", t_power(0.8)),
        width_case(),
        rate("no line: 0.05 + 0.87 Φ((√n - 6) / 1.2)", 0.05 + 0.87 * special.ndtr((n - 6) / 1.2)),
    ):
        lines(case, few)
    rmse = found[LOOKS[-1]][0]
    missed = [] if rmse <= 0.74 else [f"RMSE {rmse:.3f}, not at most 0.74"]
    missed += [f"coverage {cover:.3f}, not from 0.92 to 0.98" for cover in covers if not 0.92 <= cover <= 0.98]
    sys.exit(f"bar missed: {', '.join(missed)}" if missed else 0)


if __name__ == "__main__":
    main()
