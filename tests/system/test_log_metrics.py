"""Metrics of a log, and expressions that take too long."""

from simferry.system.log_metrics import series_within


def test_an_expression_that_takes_too_long_is_given_up_and_the_others_are_found():
    log = "loss=0.5 x\nloss=1e-3\n" + "a" * 40 + "!\n"
    metrics = {"loss": "loss=([0-9.e-]+)", "slow": "(a+)+b", "words": "loss=(x)?", "none": "loss", "x": "=([0-9.]+) x"}
    assert series_within(metrics, log, seconds=0.5) == {
        "loss": ["0.5", "1e-3"],
        "slow": None,
        "words": [],
        "none": [],
        "x": ["0.5"],
    }
    assert series_within({}, log) == {}
