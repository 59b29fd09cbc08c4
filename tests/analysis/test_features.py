"""Features of rows."""

import numpy as np
import pytest
from simferry.analysis.features import Excluded, Raw, critical

NAN = np.nan


def features(raw, alpha):
    return raw.features(alpha, raw.ends(alpha[0]))


def of(values):
    return np.array(values, dtype=float)


def test_intervals_are_those_given_or_made_of_the_standard_error():
    made = features(Raw(of([1, 2]), truth=of([1, 0]), se=of([0.5, 0.5])), (0.05,))
    assert made["covered"].tolist() == [1, 0] and made["rejected"].tolist() == [1, 1]
    assert (
        made["width"].tolist() == pytest.approx([2 * critical(0.05, None) * 0.5] * 2)
        and made["relative"].tolist()[0] == 0
    )
    given = features(Raw(of([1, 2]), truth=of([1, 0]), lower=of([1, NAN]), upper=of([1, 3])), (0.05,))
    assert given["covered"].tolist()[0] == 1 and np.isnan(given["covered"][1]) and "variance" not in given


def test_tests_are_by_p_value_or_by_standard_error_at_each_level():
    by_p = features(Raw(of([1, 1, 1]), p_value=of([0.03, 0.005, NAN])), (0.05, 0.01))
    assert by_p["rejected"].tolist()[:2] == [1, 1] and by_p["rejected_2"].tolist()[:2] == [0, 1]
    assert np.isnan(by_p["rejected"][2])
    of_t = features(Raw(of([2.1]), se=of([1]), df=of([5])), (0.05,))
    assert of_t["rejected"].tolist() == [0] and critical(0.05, of([5]))[0] == pytest.approx(2.5705818)


def test_what_cannot_be_used_is_missing_and_counted():
    excluded = Excluded()
    raw = Raw(
        of([np.inf, 1, 2, 3, NAN]), se=of([1, 0, NAN, 1, 1]), lower=of([0, 0, 0, 4, 0]), upper=of([1, 1, 1, 3, 1])
    )
    raw.cleaned(excluded, complete=True)
    assert np.isnan(raw.estimate).tolist() == [True, True, True, False, True]
    assert np.isnan(raw.se).tolist() == [True, True, True, False, True] and np.isnan(raw.lower[3])
    assert [*excluded.counts.values()] == [1, 1, 1]
    assert next(iter(excluded.counts)) == "infinite estimates count as missing"
    loose = Raw(of([1, 2]), se=of([NAN, 1]))
    loose.cleaned(Excluded(), complete=False)
    assert loose.estimate.tolist() == [1, 2]


def test_a_row_without_estimate_counts_nowhere_in_complete_cases():
    """Nor do its interval and its p-value: a fit that diverged covers the truth by luck."""
    given = {"lower": of([-9, 0, 0]), "upper": of([9, 2, 2]), "p_value": of([0.01, 0.01, 2])}
    raw, loose = (
        Raw(of([np.inf, 1, 1]), truth=of([1, 1, 1]), **given),
        Raw(of([np.inf, 1, 1]), truth=of([1, 1, 1]), **given),
    )
    for one, complete in ((raw, True), (loose, False)):
        one.cleaned(Excluded(), complete)
    assert np.isnan(features(raw, (0.05,))["covered"]).tolist() == [True, False, False]
    assert np.isnan(features(raw, (0.05,))["rejected"]).tolist() == [True, False, True]
    assert features(loose, (0.05,))["covered"].tolist() == [1, 1, 1]


def test_a_test_without_degrees_of_freedom_is_missing():
    raw, excluded = Raw(of([9, 9, 9]), se=of([1, 1, 1]), df=of([NAN, 5, 0])), Excluded()
    raw.cleaned(excluded, complete=True)
    assert np.isnan(features(raw, (0.05,))["rejected"]).tolist() == [True, False, True]
    assert excluded.counts == {"degrees of freedom that are not above 0 count as missing": 1}
