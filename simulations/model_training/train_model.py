"""Trains a small neural network on two interleaved half circles, and tests it on points that it has not seen.

    python3 train_model.py --hidden 16 --learning-rate 0.5 --noise 0.2

Writes metrics.csv, one row, and model.npz, the weights. It needs numpy only. One run is one replication: its points and its first
weights are drawn anew, from the process's generator, which simferry seeds.
"""

import argparse
import csv
import math
import time

import numpy as np


def half_circles(number: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Points, an array of (number, 2), and the half circle of each, 0 or 1. noise: standard deviation of both coordinates."""
    label = np.random.randint(0, 2, number)
    angle = np.random.uniform(0, math.pi, number)
    x = np.where(label == 0, np.cos(angle), 1 - np.cos(angle))
    y = np.where(label == 0, np.sin(angle), 0.5 - np.sin(angle))
    return np.column_stack([x, y]) + np.random.normal(0, noise, (number, 2)), label


class Network:
    """One hidden layer of tanh, one logistic output."""

    def __init__(self, hidden: int) -> None:
        self.inner = np.random.normal(0, 1, (3, hidden))  # the last row is the intercept
        self.outer = np.random.normal(0, 1 / math.sqrt(hidden), hidden + 1)

    def probabilities(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of the second half circle, and the hidden layer's values."""
        layer = np.column_stack([np.tanh(points @ self.inner[:2] + self.inner[2]), np.ones(len(points))])
        return 1 / (1 + np.exp(-layer @ self.outer)), layer

    def step(self, points: np.ndarray, label: np.ndarray, rate: float) -> float:
        """One step of gradient descent. Returns the mean log loss before it."""
        found, layer = self.probabilities(points)
        error = (found - label) / len(points)
        within = np.outer(error, self.outer[:-1]) * (1 - layer[:, :-1] ** 2)
        self.outer -= rate * layer.T @ error
        self.inner -= rate * np.column_stack([points, np.ones(len(points))]).T @ within
        right = np.where(label == 1, found, 1 - found)
        return float(-np.log(np.maximum(right, 1e-300)).mean())

    def accuracy(self, points: np.ndarray, label: np.ndarray) -> float:
        return float(((self.probabilities(points)[0] > 0.5) == label).mean())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--hidden", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=0.5)
    parser.add_argument("--noise", type=float, default=0.2)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--points", type=int, default=400)
    given = parser.parse_args()

    points, label = half_circles(given.points, given.noise)
    unseen, truth = half_circles(4000, given.noise)
    network, began = Network(given.hidden), time.perf_counter()
    loss = [network.step(points, label, given.learning_rate) for _ in range(given.epochs)]
    print(f"hidden {given.hidden}, learning rate {given.learning_rate}: loss {loss[0]:.3f} -> {loss[-1]:.3f}")

    np.savez("model.npz", inner=network.inner, outer=network.outer)
    with open("metrics.csv", "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["loss", "accuracy", "accuracy_unseen"])
        out.writerow([loss[-1], network.accuracy(points, label), network.accuracy(unseen, truth)])
    print(f"{given.epochs} epochs took {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
