"""The published clients, unmodified, read and write through the real server."""

import subprocess

import pytest

from tests.live import ROOT, token


@pytest.mark.parametrize("server", ["uvicorn", "daphne"])
@pytest.mark.parametrize("peer", ["aiodata", "pgrest", "postgrest"])
def test_the_published_client_works(make_aiodata_server, peer, server):
    python = ROOT / ".test" / "peers" / peer / "bin" / "python"
    assert python.exists(), f"the published {peer} is not installed; run: make peers"
    live = make_aiodata_server(server=server)
    driver = ROOT / "tests" / "peers" / f"drive_{peer}.py"
    command = [python, driver, live.url, token()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=driver.parent)
    assert done.returncode == 0, done.stderr + live.output()


@pytest.mark.parametrize("server", ["uvicorn", "daphne"])
def test_the_published_javascript_client_works(make_aiodata_server, server):
    home = ROOT / ".test" / "peers" / "postgrest-js"
    assert (home / ".modules").exists(), "the published postgrest-js is not installed; run: make peers"
    live = make_aiodata_server(server=server)
    driver = ROOT / "tests" / "peers" / "drive_postgrest_js.mjs"
    command = [home / "bin" / "node", driver, home / "node_modules", live.url, token()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=driver.parent)
    assert done.returncode == 0, done.stderr + live.output()
