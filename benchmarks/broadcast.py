"""A broadcast to 100,000 people, in-app: its rate beside a bare bulk_create of the same rows, and its memory.

    python benchmarks/broadcast.py [--people 100000]

Part by part in one process: a part of the broadcast as a worker writes it (people read, preferences looked up, routing
decided, text rendered, rows written, open pages told), then the same rows by Django's bulk_create and nothing else.
Both meet tables of the same size. It ends with 1 when the broadcast has less than 60% of the rate, or when the process
has grown by more than a tenth after the first tenth. Servers are CastComm's embedded ones unless DATABASE_URL and
REDIS_URL are set.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from servers import machine, migrated, servers

HERE = Path(__file__).resolve().parent


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=100_000)
    people = parser.parse_args().people
    print(machine(), flush=True)
    with servers() as given:
        command = [sys.executable, str(HERE / "inbox_data" / "broadcast.py"), str(people)]
        environment = migrated(given, "castcomm_bench_broadcast")
        return subprocess.run(command, check=False, env=environment, cwd=HERE.parent).returncode


if __name__ == "__main__":
    sys.exit(main())
