"""Two sides of a transfer in one thread, with a simulated clock, network and disk.

    python -m tests.simulation                  100 000 seeds; writes docs/simulation.md; continues
    python -m tests.simulation --seeds 7..7 --show             one seed, with everything it does
    python -m tests.simulation --seeds 1..2000 --planted NAME  up to the seed that finds a defect

plan        what a seed chooses
story       the runs of a seed
checks      what must hold after each step
machines    the files of both before the first run
process     programs that end without any cleanup
disk        a file system in memory, and what a power cut leaves of it
system      the calls of `os` on that disk
network     connections in memory: delays, lost paths, the next connection
loop        an event loop whose clock does not wait
seams       what is replaced in dcsend
planted     defects that must be found
record      what has been done, and the report
"""
