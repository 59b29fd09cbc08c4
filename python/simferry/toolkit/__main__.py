"""python3 -m simferry_toolkit PROGRAM train|serve: runs a program under the training contract, or serves its model."""

import sys

from .program import train

USAGE = "usage: python3 -m simferry_toolkit PROGRAM train|serve"


def main() -> None:
    """Run the program of the command line. `train` or `serve` is what the contract adds to the entry point."""
    arguments = sys.argv[1:]
    if len(arguments) != 2:
        sys.exit(USAGE)
    program, command = arguments
    if command == "serve":
        from .serve import serve

        serve(program)
    if command != "train":
        sys.exit(f"{command!r} is no command of this image: it has train and serve\n{USAGE}")
    train(program)


if __name__ == "__main__":
    main()
