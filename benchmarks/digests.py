"""Digests of ten notifications each: closing them at three sizes, and their mails beside one mail per notification.

    python benchmarks/digests.py [--digests 5000 10000 20000] [--each 10] [--mails 1000]

Closing is everything but the mail: looking again at each item, the digest as a notification, the window's end. Its rate
must not fall with the number: it ends with 1 when the last is under 0.7 of the first. Then --mails digests and as many
single mails go to an SMTP server that only counts, all in one process. Servers are CastComm's embedded ones unless
DATABASE_URL and REDIS_URL are set.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from pipeline import Sink
from servers import end, machine, migrated, servers

HERE = Path(__file__).resolve().parent


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--digests", type=int, nargs="+", default=[5_000, 10_000, 20_000])
    parser.add_argument("--each", type=int, default=10, help="notifications in each")
    parser.add_argument("--mails", type=int, default=1_000, help="digests that are also sent")
    options = parser.parse_args()
    print(machine(), flush=True)
    sink = Sink(0)
    try:
        with servers() as given:
            environment = migrated(given, "castcomm_bench_digests")
            environment |= {"EMAIL_PROVIDER": "smtp", "SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(sink.port)}
            numbers = [str(number) for number in (options.each, options.mails, *options.digests)]
            command = [sys.executable, str(HERE / "inbox_data" / "digests.py"), *numbers]
            return subprocess.run(command, check=False, env=environment, cwd=HERE.parent).returncode
    finally:
        end(sink.process)


if __name__ == "__main__":
    sys.exit(main())
