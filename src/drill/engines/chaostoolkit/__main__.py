"""The process of one experiment; started by drill only."""

import sys

from drill.engines.chaostoolkit import lifeline

if __name__ == "__main__":
    talk, life = (int(argument) for argument in sys.argv[1:3])
    # Before anything else is imported: the process that watches must not carry threads or chaoslib with it.
    lifeline.hold(life)

    from drill.engines.chaostoolkit.runner import main

    sys.exit(main(talk))
