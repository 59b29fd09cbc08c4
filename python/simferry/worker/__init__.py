"""The worker: runs the stretches of one job beside the simulation, and writes blocks.

Its files are copied to the simulation, into the folder `simferry_worker` beside worker.py or worker.R, which start it. The folder
keeps its modules apart from the user's own, which may also be called `rows` or `blocks`. Each .R file does in R what the .py
file of the same name does in Python. Python needs numpy, and cloudpickle for function objects. R needs only base R. simferry
need not be installed.
"""
