"""What is left of two thousand accepted mails after a fault: runs the fault tests and prints their table.

    python benchmarks/faults.py

Each line tells how many mails were accepted and arrived at a real SMTP server, how many arrived twice, how many are
parked because nobody knows (each is one of the slice that was on its way), and how long it took to recover.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

if __name__ == "__main__":
    folder = Path(__file__).resolve().parents[1] / "tests" / "faults"
    sys.exit(pytest.main([str(folder), "-q", "-s", "-p", "no:cacheprovider", *sys.argv[1:]]))
