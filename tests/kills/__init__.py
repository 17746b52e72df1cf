"""Programs that are killed at random moments of transfers, each followed by another run.

    python -m tests.kills               1000 kills; writes a section of docs/faults.md; continues
    python -m tests.kills --seeds 7..9  three rounds, which are printed

rounds      one file, from run to run
report      all rounds, and the section
"""
