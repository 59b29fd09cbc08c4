"""How many threads workers use."""

# environment variables of workers: the number of threads changes the bits of linear algebra
ONE_THREAD = {
    **{f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")},
    "VECLIB_MAXIMUM_THREADS": "1",
}
