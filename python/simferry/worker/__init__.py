"""The worker: runs the stretches of one job beside the simulation, and writes blocks.

It travels with the simulation, as plain files in the folder `simferry_worker` beside worker.py or worker.R, which start it:
names of its own would take the place of a user's module `rows` or `blocks`. Each .R file does in R what the .py file of its
name does in Python. That needs numpy, and cloudpickle where a function object was sent; R needs base R alone. simferry itself
need not be installed.
"""
