"""`python -m drill` is `drill`."""

from drill.cli import main

main()
