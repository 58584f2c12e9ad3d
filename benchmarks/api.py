"""How long ``POST /api/v1/notifications`` to one person takes, one request after the other.

    python benchmarks/api.py [--requests 300]

One web process (Uvicorn, as in the Procfile) on the embedded servers, unless DATABASE_URL and REDIS_URL are set; one
kept-alive connection, an API key. Prints the median and the 95th percentile in milliseconds.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import time

from servers import ROOT, child, free_port, machine, servers, table, with_database

PYTHON = sys.executable
SETUP = """
import django; django.setup()
from accounts.models import Organization
from accounts.services.api_keys import create_api_key
from accounts.services.demo import load
from notifications.services.demo import load as load_messages
load(allow_outside_debug=True)
organization = Organization.objects.get(slug="demo")
load_messages(organization)
key, plain = create_api_key(organization=organization, name="benchmark", scopes=["notifications:send"])
print(plain)
"""


def wait_until_up(port: int) -> None:
    for _ in range(200):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the web process did not come up")


def measure(port: int, key: str, count: int) -> list[float]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    body = json.dumps(
        {
            "event_type": "nda_request",
            "recipients": ["demo-actor@example.com"],
            "data": {
                "pitch_title": "A demo pitch",
                "requester_name": "Demo Requester",
                "review_url": "https://example.com/nda/1",
            },
        }
    )
    head = {"Authorization": f"Api-Key {key}", "Content-Type": "application/json"}
    taken = []
    for _ in range(count):
        started = time.perf_counter()
        connection.request("POST", "/api/v1/notifications", body, head)
        answer = connection.getresponse()
        content = answer.read()
        taken.append((time.perf_counter() - started) * 1000)
        if answer.status != 202:
            raise RuntimeError(f"{answer.status}: {content[:300]!r}")
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=300)
    count = parser.parse_args().requests
    with servers() as given:
        environment = with_database(given, "bench_api")
        port = free_port()
        environment |= {
            "PORT": str(port),
            "DJANGO_SETTINGS_MODULE": "castcomm.settings",
            "DEBUG": "1",
            "LOG_LEVEL": "WARNING",
        }
        subprocess.run([PYTHON, "manage.py", "migrate", "-v", "0"], env=environment, check=True, cwd=ROOT)
        told = subprocess.run(
            [PYTHON, "-c", SETUP], env=environment, check=True, capture_output=True, text=True, cwd=ROOT
        )
        key = told.stdout.split()[-1]
        command = [
            PYTHON,
            "-m",
            "uvicorn",
            "castcomm.asgi:application",
            "--ws",
            "websockets-sansio",
            "--port",
            str(port),
        ]
        with child([*command, "--log-level", "warning"], environment):
            wait_until_up(port)
            measure(port, key, 30)
            taken = sorted(measure(port, key, count))
    print(f"{machine()}; load average {os.getloadavg()[0]:.1f}\n")
    middle, late = statistics.median(taken), taken[int(len(taken) * 0.95)]
    print(table(["requests", "median ms", "p95 ms"], [[str(count), f"{middle:.1f}", f"{late:.1f}"]]))


if __name__ == "__main__":
    main()
