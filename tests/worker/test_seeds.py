"""Seeds of whole scripts and commands: permutations, the same in Python and R."""

import json
from pathlib import Path

import simferry as sf
from common import rscript
from hand_made import keys_of
from hypothesis import given
from hypothesis import strategies as st
from simferry.worker.seeds import PRIME, permuted, seed_hex_of, seed_of

KEYS = st.lists(st.integers(1, PRIME - 1), min_size=8, max_size=8)


def undone(number, keys, word):
    high, low = divmod(number, 2**16)
    for key in reversed(keys):
        high, low = low ^ (key * (1 + high + 2**16 * word) % PRIME >> 15), high
    return high << 16 | low


@given(KEYS, st.integers(0, 2**32 - 1), st.integers(0, 4))
def test_each_word_is_a_permutation_of_the_numbers_below_2_to_the_32(keys, number, word):
    assert undone(permuted(number, keys, word), keys, word) == number


@given(KEYS, st.lists(st.integers(0, 2**31 - 1), unique=True, max_size=50))
def test_replications_of_a_condition_have_seeds_below_2_to_the_31_and_no_two_the_same(keys, replications):
    seeds = [seed_of(r, keys) for r in replications]
    assert len(set(seeds)) == len(seeds) and all(0 <= s < 2**31 for s in seeds)
    assert len({seed_hex_of(r, keys) for r in replications}) == len(replications)


def test_seeds_are_known():
    ten, twenty = keys_of(sf.grid(n=[10, 20]))
    assert ten == [269504143, 1301707368, 464102342, 1386564225, 1472324557, 294919408, 1334734564, 19383775]
    assert [seed_of(r, ten) for r in (1, 2, 3, 2**31 - 1)] == [1179050975, 2046018574, 839227740, 1518285512]
    assert seed_hex_of(1, ten) == "945129b8b7a3c2b9c2d083603e3d5055"
    assert seed_of(1, twenty) != seed_of(1, ten)
    assert keys_of(sf.grid(n=[20, 10])) == [twenty, ten] and keys_of(sf.grid(n=[10]), seed=2) != [ten]


def test_conditions_share_seeds_as_chance_has_it_and_no_stretches():
    conditions, replications = 150, 1000
    owner: dict[int, list[tuple[int, int]]] = {}
    for c, keys in enumerate(keys_of(sf.grid(n=list(range(conditions))))):
        for r in range(1, replications + 1):
            owner.setdefault(seed_of(r, keys), []).append((c, r))
    shared = [pair for pair in owner.values() if len(pair) > 1]
    expected = conditions * (conditions - 1) / 2 * replications**2 / 2**31  # 5.2, Poisson
    assert abs(len(shared) - expected) < 4 * expected**0.5
    lags = {(c, d, r - s) for (c, r), (d, s), *_ in shared}
    assert len(lags) == len(shared)  # a shared stretch would be several with one lag


def test_r_computes_the_same(tmp_path):
    replications = [1, 2, 65535, 65536, 99_999, 2**31 - 1]
    keys = [*keys_of(sf.grid(n=list(range(20)))), [1] * 8, [PRIME - 1] * 8]
    source = Path(sf.__file__).parent / "worker" / "seeds.R"
    given_ = ", ".join(f"c({', '.join(f'{k}L' for k in row)})" for row in keys)
    printed = rscript(
        f"source({json.dumps(str(source))})\nfor (keys in list({given_})) for (r in c({', '.join(map(str, replications))})) "
        "cat(seeds_of(r, keys), '\\n')",
        tmp_path,
    )
    assert [line.split() for line in printed.splitlines()] == [
        [str(seed_of(r, row)), seed_hex_of(r, row)] for row in keys for r in replications
    ]
