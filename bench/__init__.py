"""
How accurate, how fast and how frugal drill is, measured beside a peer or a limit in the same run.

    make bench             everything, and the table in bench/README.md anew
    make bench QUICK=1     a minute or so: shows that each benchmark works, proves nothing
    python -m bench.NAME   one of them; --quick, too
"""
