"""python3 -m simferry_toolkit PROGRAM train: runs a program under the training contract."""

import sys

from .program import train

USAGE = "usage: python3 -m simferry_toolkit PROGRAM train"


def main() -> None:
    """Run the program of the command line. `train` is what the contract adds to the entry point."""
    arguments = sys.argv[1:]
    if len(arguments) != 2:
        sys.exit(USAGE)
    if arguments[1] != "train":
        sys.exit(f"{arguments[1]!r} is no command of this image: it has train\n{USAGE}")
    train(arguments[0])


if __name__ == "__main__":
    main()
