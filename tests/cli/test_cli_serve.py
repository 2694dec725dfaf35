"""`edgenet serve`, up to the first request: options, errors, and the end."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from edgenet.cli import qr_code
from edgenet.errors import EdgenetError
from edgenet.phone import access, files


@pytest.fixture
def litert(tmp_path, monkeypatch):
    """A folder like that of LiteRT.js, where `make web` would put it."""
    folder = tmp_path / "litertjs"
    for part in ("core/dist", "core/wasm", "wasm-utils/dist"):
        (folder / part).mkdir(parents=True)
    (folder / "core/dist/index.js").write_text("export {};\n")
    (folder / "core/package.json").write_text('{"version": "2.5.3"}')
    monkeypatch.setattr(files, "LITERT", folder)
    return folder


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("--port", "70000"), "--port: must be from 0 to 65,535, not 70000"),
        (("--rounds", "0"), "--rounds: must be from 1 to 200, not 0"),
        (("--seconds", "nan"), "--seconds: must be above 0 and at most 10, not nan"),
        (("--http",), "--http: needs --lan: this machine does not need https for itself; leave it out"),
        (("--lan", "printer"), "--lan: 'printer' is not an IPv4 address of this machine"),
        (("--lan", "192.0.2.7"), "--lan: '192.0.2.7' is not an IPv4 address of this machine"),
        (("--variants", "int4"), "--variants: expected one of .*, got 'int4'"),
        (("--variants", ","), "argument --variants: give at least one name; see `edgenet serve --help`"),
    ],
)
def test_wrong_options(run_here, litert, tiny_bundle, options, error):
    done = run_here("serve", tiny_bundle.folder, *options)
    assert done.returncode == 1 and re.fullmatch(f"Error: {error}", done.stderr.splitlines()[-1])


def test_without_litertjs_it_says_how_to_get_it(run_here, tiny_bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LITERT", tmp_path / "nowhere")
    done = run_here("serve", tiny_bundle.folder)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"Error: LiteRT.js is not installed in {tmp_path / 'nowhere'}; run `make web` (it needs npm)"
    )


def test_a_port_in_use(run_here, litert, tiny_bundle):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_here("serve", tiny_bundle.folder, "--port", port)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"Error: --port: port {port} at 127.0.0.1 is not available (Address already in use); choose another"
    )


def test_a_damaged_bundle_is_not_served(run_here, litert, tiny_bundle, tmp_path):
    copy = shutil.copytree(tiny_bundle.folder, tmp_path / "copy")
    (copy / "labels.txt").write_text("ant\n")
    done = run_here("serve", copy)
    assert done.returncode == 1 and "labels.txt: expected 23 bytes, got 4" in done.stderr


def test_lan_without_the_package_for_https(run_here, litert, tiny_bundle, monkeypatch):
    monkeypatch.setattr("edgenet.phone.certificate.find_spec", lambda name: None)
    done = run_here("serve", tiny_bundle.folder, "--lan", "127.0.0.1")
    assert done.returncode == 1
    assert "--lan: https needs the package cryptography: pip install 'edgenet[serve]'. With --http, " in done.stderr


@pytest.mark.parametrize("lan", [(), ("--lan", "127.0.0.1", "--http")])
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_ctrl_c(tiny_bundle, litert, tmp_path, lan, how):
    copy = shutil.copytree(tiny_bundle.folder, tmp_path / "copy")
    script = (
        "import sys; from pathlib import Path; from edgenet.phone import files; files.LITERT = Path(sys.argv.pop(1)); "
        "from edgenet.cli.main import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", script, litert, "serve", copy, "--port", "0", *lan]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as run:
        lines = []
        while "press Ctrl-C to stop" not in "".join(lines):
            lines.append(run.stdout.readline())
            assert lines[-1], run.stderr.read()
        address = re.search(r"serving tiny at (http://127\.0\.0\.1:\d+/)", "".join(lines))[1]
        assert urllib.request.urlopen(address, timeout=20).status == 200
        run.send_signal(how)
        try:
            _, error = run.communicate(timeout=20)
        finally:
            run.kill()
    assert run.returncode == 0 and "Error" not in error and "Traceback" not in error
    if lan:
        assert re.search(rf"open {address}#[\w-]{{22}} on the phone\n", "".join(lines))


def test_the_code_is_that_of_the_link(monkeypatch):
    segno = pytest.importorskip("segno")
    link = "https://192.168.1.5:8765/#abcdefghijklmnopqrstuv"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    shown = qr_code.invitation(link)
    assert f"open {link}\n" in shown
    # Two modules in a character: the code, a border of two, half as many lines.
    side = segno.make(link, error="l", micro=False).symbol_size(border=2)[0]
    assert sum("▀" in line or "▄" in line or "█" in line for line in shown.splitlines()) == -(-side // 2)


def test_no_code_where_it_would_not_be_seen(capfd):
    assert qr_code.invitation("http://127.0.0.1/#x").startswith("open http://127.0.0.1/#x on the phone\n")


def test_the_address_in_the_local_network():
    try:
        found = access.lan_address()
    except EdgenetError as error:
        assert "this machine has no address in a local network" in str(error)
    else:
        assert access.check_address(found) == found
