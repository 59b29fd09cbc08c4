"""The mathematics of searches over a design: which condition to compute next, given those that are computed, with their Monte Carlo
errors. It reads and writes nothing; who computes (a run, a user's own loop) asks for points and tells what they gave."""
