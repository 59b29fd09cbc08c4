"""Metrics: what is found in a log, and how it is kept."""

import json

from simferry.worker.metrics import as_csv, last_of, texts_of


def test_a_series_is_what_the_first_group_is_where_it_is_a_number():
    log = "loss=0.50 loss=nothing\nsomething else\nstep 2 loss=1e-3\nloss=inf\n"
    found = texts_of("loss=([a-z0-9.-]+)", log)
    assert found == ["0.50", "1e-3", "inf"]
    series = {"loss": found, "none": []}
    assert as_csv(series) == b"metric,step,value\nloss,1,0.50\nloss,2,1e-3\nloss,3,inf\n"
    assert json.loads(last_of(series)) == {"loss": "inf", "none": None}
