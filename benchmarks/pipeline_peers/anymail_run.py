"""``python -m pipeline_peers.anymail_run enqueue N`` queues N tasks; prints when it began and the seconds it took."""

import sys
import time

from pipeline_peers.anymail_mail import send
from pipeline_peers.mail import settle_in, stay


def main() -> None:
    send.delay("first@example.com", "First", -1)
    settle_in()
    started = time.monotonic()
    for number in range(int(sys.argv[2])):
        send.delay(f"person{number}@example.com", f"Person {number}", number)
    stay(since=started)


if __name__ == "__main__":
    main()
