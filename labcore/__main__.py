"""`python -m labcore`, the same as `labcore`."""

from labcore.cli import main

main()
