"""People stand at random places in a room: how many pairs are closer than 6 feet?"""

import numpy as np


def simulate(x_length, y_length, num_people, rng):
    """Place people uniformly at random in a room and count the pairs closer than 6 feet.

    x_length, y_length: sides of the room in feet. num_people: a whole number, at least 1.
    rng: numpy.random.Generator.

    Returns a dict: violations, the number of pairs closer than 6 feet, and per_person, the mean number of others
    within 6 feet of a person.
    """
    if not (x_length > 0 and y_length > 0):
        raise ValueError(f"a room needs positive sides in feet, not {x_length} by {y_length}")
    if not (num_people >= 1 and num_people == int(num_people)):
        raise ValueError(f"num_people must be a whole number, at least 1, not {num_people}")
    x = rng.uniform(0, x_length, int(num_people))
    y = rng.uniform(0, y_length, int(num_people))
    violations = close_pairs(x, y)
    return {"violations": violations, "per_person": 2 * violations / num_people}


def close_pairs(x, y, distance=6.0):
    """Number of pairs of points less than `distance` apart.

    The room is cut into strips and the people are lined up strip after strip. Everyone who can be close to a person is
    then in two short stretches of the line: just ahead in the person's own strip, and around the same x in the next.
    """
    reach = 1.001 * distance  # a little more than the distance, so that rounding never hides a pair
    x = x - x.min()
    y = y - y.min()
    step = x.max() + 3 * distance  # from a place in one strip to the same place in the next
    place = np.floor(y / reach) * step + x
    line = np.argsort(place)
    x, y, place = x[line], y[line], place[line]

    people = np.arange(len(place))
    person = np.concatenate([people, people])
    first = np.concatenate([people + 1, place.searchsorted(place + step - reach)])
    end = place.searchsorted(np.concatenate([place + reach, place + step + reach]), side="right")
    candidates = end - first

    pairs = 0
    for k in range(candidates.max()):
        left = person[candidates > k]
        right = first[candidates > k] + k
        pairs += np.count_nonzero((x[right] - x[left]) ** 2 + (y[right] - y[left]) ** 2 < distance**2)
    return pairs
