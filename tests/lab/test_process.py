"""Marked processes: found whatever they do, ended whatever state they are in."""

import signal
import socket
import subprocess
import sys
import time

import pytest

from drill.errors import EnvironmentFault
from drill.lab import process


@pytest.fixture
def folder(tmp_path):
    """A folder whose processes are all ended afterwards."""
    yield tmp_path
    process.sweep(tmp_path)


def until(true, within=10):
    """Wait for a condition, or fail by its name."""
    end = time.monotonic() + within
    while not true():
        assert time.monotonic() < end, true
        time.sleep(0.02)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_process_and_what_it_left_behind_are_found_and_ended(folder):
    """A grandchild in a session of its own and a frozen process are ended with the rest."""
    script = "import subprocess, sys; subprocess.Popen(['sleep', '60'], start_new_session=True)"
    left = process.start([sys.executable, "-c", script], folder)
    left.wait()
    frozen = process.start(["sleep", "60"], folder)
    frozen.send_signal(signal.SIGSTOP)

    ended = process.sweep(folder)

    assert len(ended) == 2
    assert process.belonging(folder) == []
    frozen.wait()


def test_a_shell_that_stands_in_the_folder_is_not_ours(folder):
    """Somebody looking around in the folder of a lab survives its end."""
    visitor = subprocess.Popen(["sleep", "60"], cwd=folder)
    try:
        assert process.sweep(folder) == []
        assert visitor.poll() is None
    finally:
        visitor.kill()
        visitor.wait()


@pytest.mark.lab
def test_postgres_starts_for_anybody_and_is_found_although_it_hides_its_environment(folder):
    """PostgreSQL runs, root or not, and every one of its processes is found."""
    data = folder / "data"
    bin_ = process.postgres_bin()
    process.account().own(folder)
    process.run_postgres_tool([bin_ / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync"], folder)
    port = free_port()
    started = process.start(
        [bin_ / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", ""], folder, postgres=True
    )
    ready = [bin_ / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
    until(lambda: subprocess.run(ready, check=False).returncode == 0)

    assert len(process.belonging(folder)) > 4

    process.sweep(folder)
    started.wait()
    assert process.belonging(folder) == []


def test_a_tool_that_fails_shows_what_it_said(folder):
    """The error of a PostgreSQL tool carries its own words."""
    with pytest.raises(EnvironmentFault, match=r"ended with 1:(.|\n)*no data directory specified"):
        process.run_postgres_tool(["env", "-u", "PGDATA", process.postgres_bin() / "initdb"], folder)


def test_the_end_of_a_log_leaves_out_the_frames_of_tracebacks(tmp_path):
    """What failed is said, not where in somebody's code."""
    log = tmp_path / "log"
    log.write_text('one\ntwo\nTraceback (most recent call last):\n  File "x"\n    run()\nValueError: why\n')

    assert process.tail(log, 2) == "two\nValueError: why"
    assert process.tail(tmp_path / "none") == ""


def test_a_folder_is_abandoned_once_its_keeper_is_gone(tmp_path):
    """Held: not abandoned. Let go, by whatever death: abandoned. Never held: nobody's business."""
    assert not process.abandoned(tmp_path)
    held = process.claim(tmp_path)
    assert not process.abandoned(tmp_path)

    held.close()

    assert process.abandoned(tmp_path)
