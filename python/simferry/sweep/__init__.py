"""What is run: a simulation, its design, the files that it reads; and sweep files, which say all of it."""
