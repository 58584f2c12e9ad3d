"""PostgreSQL and Redis from the wheels: data that lasts, crashes, and who may read what."""

from __future__ import annotations

import os
import shutil
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import redis

from castcomm.embedded import process
from castcomm.embedded.errors import EmbeddedError
from castcomm.embedded.places import find_places, write_private
from castcomm.embedded.server import EmbeddedServer
from castcomm.embedded.servers import lasting_servers, throwaway_servers

Eventually = Callable[[Callable[[], object]], None]


@pytest.fixture
def servers(open_folder: Path) -> object:
    both = lasting_servers(find_places(open_folder))
    yield both
    for server in both.values():
        server.stop()


@pytest.fixture
def postgres(servers: dict[str, EmbeddedServer]) -> EmbeddedServer:
    servers["DATABASE_URL"].start(follow_parent=True)
    return servers["DATABASE_URL"]


@pytest.fixture
def redis_server(servers: dict[str, EmbeddedServer]) -> EmbeddedServer:
    servers["REDIS_URL"].start(follow_parent=True)
    return servers["REDIS_URL"]


def pid_of(server: EmbeddedServer) -> int:
    identity = server.identity()
    assert identity is not None
    return identity.pid


def test_data_is_found_again_after_a_restart(postgres: EmbeddedServer) -> None:
    with psycopg.connect(postgres.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 'Zoë' AS name")
    postgres.stop()
    assert not postgres.is_running()
    assert postgres.start(follow_parent=True)
    with psycopg.connect(postgres.url) as connection:
        assert connection.execute("SELECT upper(name) FROM kept").fetchone() == ("ZOË",)


def test_data_survives_a_crash_and_its_stale_lock(postgres: EmbeddedServer, eventually: Eventually) -> None:
    with psycopg.connect(postgres.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
    os.kill(pid_of(postgres), signal.SIGKILL)
    eventually(lambda: not postgres.is_running())
    lock = postgres.folder / "data/postmaster.pid"
    assert lock.exists()
    # The number belongs to a living process of another kind today, as after a reboot.
    lock.write_text("\n".join([str(os.getpid()), *lock.read_text().splitlines()[1:]]) + "\n")
    assert postgres.start(follow_parent=True)
    with psycopg.connect(postgres.url) as connection:
        assert connection.execute("SELECT one FROM kept").fetchone() == (1,)


def test_a_recorded_process_that_is_someone_else_today_is_left_alone(redis_server: EmbeddedServer) -> None:
    redis_server.stop()
    mine = process.identify(os.getpid())
    assert mine is not None
    other = process.Identity(pid=mine.pid, started=mine.started - 1, boot=mine.boot)
    redis_server._remember(process=other.as_dict())
    assert not redis_server.is_running()
    redis_server.stop()  # Would have ended this very test.
    assert redis_server.start(follow_parent=True)


def test_a_running_server_is_used_not_started_again(postgres: EmbeddedServer) -> None:
    before = pid_of(postgres)
    assert not postgres.start(follow_parent=True)
    assert pid_of(postgres) == before


def test_no_one_enters_without_the_password(postgres: EmbeddedServer, redis_server: EmbeddedServer) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(
            host="127.0.0.1", port=postgres.port, user="postgres", dbname="postgres", password="x"
        )
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=redis_server.port).ping()
    for server in (postgres, redis_server):
        assert stat.S_IMODE((server.folder / "server.json").stat().st_mode) == 0o600
        assert stat.S_IMODE((server.folder / "data").stat().st_mode) == 0o700
        command_line = Path(f"/proc/{pid_of(server)}/cmdline").read_text()
        assert server._password() not in command_line


def test_the_application_is_no_superuser_but_may_make_databases(postgres: EmbeddedServer) -> None:
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE test_another")
        row = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
        assert row == (False,)
        assert connection.execute("SHOW fsync").fetchone() == ("on",)


def test_redis_is_bounded_and_writes_nothing(redis_server: EmbeddedServer) -> None:
    with redis.Redis.from_url(redis_server.url, decode_responses=True) as client:
        values = {name: client.config_get(name)[name] for name in ("appendonly", "save", "maxmemory-policy")}
        assert values == {"appendonly": "no", "save": "", "maxmemory-policy": "noeviction"}
        assert int(client.config_get("maxmemory")["maxmemory"]) == 256 * 1024 * 1024


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to give PostgreSQL to another account")
def test_root_gives_the_servers_to_an_unprivileged_account(
    postgres: EmbeddedServer, redis_server: EmbeddedServer
) -> None:
    for server in (postgres, redis_server):
        assert Path(f"/proc/{pid_of(server)}").stat().st_uid != 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root meets a folder its servers cannot reach")
def test_below_a_private_home_the_data_goes_where_the_account_reaches_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "checkout").mkdir()
    places = find_places(home / "checkout")
    assert not places.home.is_relative_to(home)
    assert find_places(home / "checkout").home == places.home, "it is found again"
    with throwaway_servers(places, {}) as urls, psycopg.connect(urls["DATABASE_URL"]) as connection:
        assert connection.execute("SHOW fsync").fetchone() == ("off",)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    # A copy of the checkout must not share the original's data.
    (home / "copy" / "var").mkdir(parents=True)
    write_private(home / "copy/var/servers-home", f"{places.home}\n")
    copy = find_places(home / "copy")
    assert copy.home != places.home
    shutil.rmtree(copy.home)
    # Whoever removes var/ wants a fresh start; the data that it pointed to goes with it.
    shutil.rmtree(home / "checkout/var")
    fresh = find_places(home / "checkout")
    assert not places.home.exists()
    shutil.rmtree(fresh.home)


def test_a_setting_from_outside_replaces_a_server(open_folder: Path) -> None:
    places = find_places(open_folder)
    with throwaway_servers(places, {"DATABASE_URL": "postgres://db.example.com/x"}) as urls:
        assert set(urls) == {"REDIS_URL"}
        with redis.Redis.from_url(urls["REDIS_URL"]) as client:
            assert client.ping()
    assert list((places.home / "test").iterdir()) == []


def test_what_a_killed_test_run_left_is_removed_by_the_next(open_folder: Path) -> None:
    places = find_places(open_folder)
    abandoned = places.home / "test" / "abandoned"
    abandoned.mkdir(parents=True)
    (abandoned / "lock").touch()
    with throwaway_servers(places, {"DATABASE_URL": "postgres://db.example.com/x"}):
        assert not abandoned.exists()


def test_a_server_that_cannot_start_says_what_it_said(servers: dict[str, EmbeddedServer]) -> None:
    postgres = servers["DATABASE_URL"]
    postgres.start(follow_parent=True)
    postgres.stop()
    (postgres.folder / "data/postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(EmbeddedError, match="no_such_setting"):
        postgres.start(follow_parent=True)
    assert not postgres.is_running()


def test_data_of_another_major_version_is_refused(servers: dict[str, EmbeddedServer]) -> None:
    postgres = servers["DATABASE_URL"]
    postgres.start(follow_parent=True)
    postgres.stop()
    (postgres.folder / "data/PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedError, match="PostgreSQL 17"):
        postgres.start(follow_parent=True)
