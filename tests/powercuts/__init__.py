"""Power cuts at random moments of transfers, each followed by a run that continues.

    python -m tests.powercuts                        the whole table; writes docs/powercuts.md
    python -m tests.powercuts --sample               a few rounds, as in each test run
    python -m tests.powercuts SCENE SYSTEM SEED CUTS [DEFECT]   one round, as JSON

recorder    a disk that records each write and each flush (FUSE)
disks       file systems on it, and disks as they are after a power cut
scenes      what is received, and how
scale       smaller limits, so that a short transfer has many syncs
receiving   one run that receives
rounds      a recorded run, cuts of its disk, and what must hold after each
planted     defects that the laboratory must find
table       all rounds, and the report
"""
