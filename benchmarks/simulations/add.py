def simulate(a, b):
    return a + b
