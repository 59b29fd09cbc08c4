"""A sweep: a simulation, its design, its inputs and its options; and sweep files, which hold all of these."""
