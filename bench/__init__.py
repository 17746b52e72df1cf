"""Benchmarks and the demonstration; nothing here is part of the installed package.

```
startup meeting throughput small sizes browsers uploads uplink fairness paths flood many resuming
                                               the parts: python -m bench.NAME
  rounds         contenders in turn            files     random files, room on the disk
  contenders/    programs to measure, with one interface: dcsend, bare channels, wormholes, TCP
    bare bare_webrtc pion/ tcpflow             programs that are one end of a bare channel
  hosts emulation                            two hosts, joined by a cable or by an emulated path
  running        a process with its lines, processor time and memory      forward         beside it
  watching       the same of a browser         delays ping      round-trip times meanwhile
  spoof          sends forged packets to an end of a transfer (flood)
  results        the results, as JSON in build/bench/
report tables plots                            from those files to docs/performance.md
```

`requirements.txt` is for build/bench-venv (scripts/bench-venv.sh): magic-wormhole and matplotlib.
"""
