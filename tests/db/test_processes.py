"""What is told about other processes is true of living, ended and never started ones."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from aiodata_django.db.processes import alive, command_of


def test_a_process_lives_until_it_ends_though_nobody_waited_for_it() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert alive(child.pid)
        child.kill()
        deadline = time.monotonic() + 10
        while alive(child.pid):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(child.pid, 0)  # it still has its number
    assert not alive(child.pid)


def test_a_command_is_told_with_its_arguments() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()", "a b"], stdin=subprocess.PIPE) as child:
        deadline = time.monotonic() + 10
        while "a b" not in command_of(child.pid):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        child.kill()
    assert command_of(child.pid) == ""
