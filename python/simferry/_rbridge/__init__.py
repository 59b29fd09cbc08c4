"""What the R package calls: call.py, and nothing else."""
