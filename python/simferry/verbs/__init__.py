"""The verbs: what can be done with a sweep or a run, one file each."""
