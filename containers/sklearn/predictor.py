"""Answers with the fitted model. The second of the two files that are yours to change: it has `app`, which gunicorn serves.

POST /invocations takes CSV without a header, a row of numbers for each prediction, and answers with a line for each.
"""

import io
import os

import joblib
import numpy as np
from flask import Flask, Response, request

# pickled by `train`: only a model that you trust belongs here
model = joblib.load(os.path.join(os.environ.get("SM_MODEL_DIR", "/opt/ml/model"), "model.joblib"))
app = Flask(__name__)


@app.get("/ping")
def ping():
    """The model was loaded when this file was, so whoever answers is ready."""
    return Response(status=200)


@app.post("/invocations")
def invocations():
    if request.mimetype != "text/csv":
        return refused(415, f"the body is {request.mimetype or 'of no type'}; it has to be text/csv")
    body = request.get_data()
    if not body.strip():
        return refused(400, "the body has no rows")
    try:
        rows = np.loadtxt(io.StringIO(body.decode()), delimiter=",", ndmin=2, comments=None)
    except ValueError as error:
        return refused(400, f"the body is no CSV of numbers: {error}")
    if rows.shape[1] != model.n_features_in_:
        return refused(400, f"the body has {rows.shape[1]} columns; the model was fitted to {model.n_features_in_}")
    return Response("".join(f"{value}\n" for value in model.predict(rows)), mimetype="text/csv")


def refused(status, why):
    return Response(f"{why}\n", status, mimetype="text/plain")
