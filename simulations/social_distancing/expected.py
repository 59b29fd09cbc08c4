"""The exact expectation of the social distancing simulation; README.md has the derivation."""

import math


def close_pair_probability(x_length, y_length, distance=6.0):
    """Probability that two people placed uniformly in an x_length by y_length room are within `distance` of each other.

    All lengths in the same unit; ValueError where the distance is longer than a side of the room, since the formula
    does not hold there.
    """
    if not 0 <= distance <= min(x_length, y_length):
        raise ValueError(f"a distance of {distance} is not within 0 and the shorter side of {x_length} x {y_length}")
    area = x_length * y_length
    disc = math.pi * distance**2 / area
    edges = 4 / 3 * distance**3 * (x_length + y_length) / area**2
    corners = distance**4 / (2 * area**2)
    return disc - edges + corners


def expected_violations(x_length, y_length, num_people, distance=6.0):
    """Expected number of pairs closer than `distance`."""
    return num_people * (num_people - 1) / 2 * close_pair_probability(x_length, y_length, distance)


def expected_per_person(x_length, y_length, num_people, distance=6.0):
    """Expected number of others within `distance` of a person."""
    return (num_people - 1) * close_pair_probability(x_length, y_length, distance)
