"""The inbox of one person among a million notifications: the unread list and the counts, in the server.

    python benchmarks/inbox.py [--rows 1000000] [--inbox 5000] [--unread 2000] [--calls 300]

The calls go through the API's own views, in this process, with sign-in and the JSON of the answer; without a socket.
Goal: median under 15 ms, p95 under 40 ms, and as many queries however large the inbox is. It ends with 1 when a goal
is missed. Servers are CastComm's embedded ones unless DATABASE_URL and REDIS_URL are set.
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
    parser.add_argument("--rows", type=int, default=1_000_000, help="notifications in the database")
    parser.add_argument("--inbox", type=int, default=5_000, help="rows of the inbox that is looked at")
    parser.add_argument("--unread", type=int, default=2_000, help="unread ones of these")
    parser.add_argument("--calls", type=int, default=300)
    options = parser.parse_args()
    print(machine(), flush=True)
    with servers() as given:
        environment = migrated(given, "castcomm_bench_inbox")
        command = [sys.executable, str(HERE / "inbox_data" / "read.py")]
        numbers = [str(n) for n in (options.rows, options.inbox, options.unread, options.calls)]
        return subprocess.run([*command, *numbers], check=False, env=environment, cwd=HERE.parent).returncode


if __name__ == "__main__":
    sys.exit(main())
