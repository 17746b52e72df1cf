"""Each call on a file fails once, in real transfers; the reaction of dcsend is checked.

    python -m tests.faults            the whole table; writes docs/faults.md
    python -m tests.faults --sample   every kind of call once, as in tests/programs/test_faults.py
    python -m tests.faults SCENE SIDE KIND NTH ERROR     one case, with the output of both sides

calls       kinds of calls, and the errors that each may have
inject.c    makes them fail, from outside Python (LD_PRELOAD)
injection   compiles and controls it
scenes      the files that are sent, and their destination
running     one case: two programs, forked from one that has loaded dcsend
invariants  what must hold in each case
table       all cases, several at a time, and the report
"""
