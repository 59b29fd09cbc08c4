"""What an image of SageMaker's training and hosting contracts can run, with no need of simferry.

These files are plain Python, use the standard library only, and work from Python 3.8 on. An image takes the folder along, under any
name; `simferry_toolkit`, say:

    COPY simferry_toolkit /opt/simferry/simferry_toolkit
    ENV PYTHONPATH=/opt/simferry
    COPY program.py /opt/program/
    ENTRYPOINT ["python3", "-m", "simferry_toolkit", "/opt/program/program.py"]

Then `docker run IMAGE train` runs program.py with `--name value` for each hyperparameter and the SM_ variables in its environment. A
program of one's own calls a function instead:

    from simferry_toolkit import train
    train(fit)  # fit(gain, rate): hyperparameters by name, as numbers, texts, lists

`docker run IMAGE serve` serves the model that program.py knows to load, see serve.py; what it does at its top is done then, too, so
training belongs below `if __name__ == "__main__":`. Or, in a program of one's own:

    from simferry_toolkit import serve
    serve(sys.modules[__name__])  # model_fn(model_dir), and what else it has of input_fn, predict_fn, output_fn

`mpi.py` runs a program in several processes on several hosts; its first lines say how it is called.
"""

from .environment import Environment
from .program import train
from .serve import serve

__all__ = ["Environment", "serve", "train"]
