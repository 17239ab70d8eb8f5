"""`python -m autotrace`: the command line."""

from __future__ import annotations

from autotrace.cli import main

if __name__ == "__main__":
    main(prog_name="autotrace")
