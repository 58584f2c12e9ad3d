"""What is left of two thousand accepted mails after a fault: runs the fault tests and prints their table.

    python benchmarks/faults.py

Each line tells how many mails were accepted and arrived at a real SMTP server, how many arrived twice, how many are
parked because nobody knows (each is one of the slice that was on its way), and how long it took to recover. Servers are
CastComm's embedded ones unless DATABASE_URL and REDIS_URL are set.
"""

from __future__ import annotations

import subprocess
import sys

from servers import ROOT, machine, servers


def main() -> None:
    print(f"{machine()}\n", flush=True)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "tests/faults",
        "-q",
        "-s",
        "-p",
        "no:cacheprovider",
        *sys.argv[1:],
    ]
    with servers() as environment:
        environment["DEBUG"] = "1"
        sys.exit(subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode)


if __name__ == "__main__":
    main()
