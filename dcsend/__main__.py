"""`python -m dcsend` is the command line."""

from dcsend.cli import main

main()
