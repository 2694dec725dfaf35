"""The sensors of a machine, from fake files of /proc and /sys."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgenet.machine.sensors import THROTTLED, Sensors

CPUS = "sys/devices/system/cpu"
SUPPLY = "sys/class/power_supply"
TICKS = os.sysconf("SC_CLK_TCK")


def no_command(*_) -> None:
    """A machine without programs."""


def write(root: Path, files: dict[str, str | bytes]) -> None:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.fixture
def read(tmp_path):
    """Reads a machine with these files, whose `vcgencmd` prints `firmware`."""

    def read_one(files: dict[str, str | bytes], firmware: str | None = None):
        write(tmp_path, files)
        return Sensors(tmp_path, clock=lambda: 12.5, command=lambda *_: firmware).read()

    return read_one


def test_a_machine_without_sensors(read):
    reading = read({})
    assert reading.seconds == 12.5
    others = ("megahertz", "governor", "celsius", "throttled", "busy", "stolen", "battery")
    assert [getattr(reading, name) for name in others] == [None] * 7


def test_a_machine_with_all_sensors(read):
    files = {
        f"{CPUS}/cpu0/cpufreq/scaling_cur_freq": "1500000\n",
        f"{CPUS}/cpu1/cpufreq/scaling_cur_freq": "600000\n",
        f"{CPUS}/cpu0/cpufreq/scaling_governor": "ondemand\n",
        "sys/class/thermal/thermal_zone0/temp": "61234\n",
        "sys/devices/platform/soc/soc:firmware/get_throttled": "0\n",
        "proc/stat": f"cpu  {3 * TICKS} 0 {2 * TICKS} 9 9 0 0 {TICKS} 0 0\nintr 5\n",
        f"{SUPPLY}/BAT0/type": "Battery\n",
        f"{SUPPLY}/BAT0/status": "Full\n",
    }
    reading = read(files)
    assert reading.megahertz == (1500, 600)
    assert reading.governor == "ondemand"
    assert reading.celsius == 61.234
    assert reading.throttled == ()
    assert (reading.busy, reading.stolen) == (5, 1)
    assert reading.battery is False


def test_clocks_are_in_the_order_of_the_cores(tmp_path):
    write(tmp_path, {f"{CPUS}/cpu{core}/cpufreq/scaling_cur_freq": f"{core + 1}000" for core in range(12)})
    write(tmp_path, {f"{CPUS}/cpufreq/policy0/scaling_cur_freq": "99000", f"{CPUS}/cpuidle/current_driver": "x"})
    assert Sensors(tmp_path, command=no_command).read().megahertz == tuple(range(1, 13))


def test_the_highest_clock_is_not_the_clock(tmp_path):
    write(tmp_path, {f"{CPUS}/cpu0/cpufreq/cpuinfo_max_freq": "1000"})
    assert Sensors(tmp_path, command=no_command).read().megahertz is None


def test_a_clock_that_is_not_a_number_is_left_out(read):
    files = {f"{CPUS}/cpu{core}/cpufreq/scaling_cur_freq": text for core, text in enumerate(("<unknown>", "800000"))}
    assert read(files).megahertz == (800,)


@pytest.mark.parametrize(
    "zones, celsius",
    [
        (["45000", "61500", "52000"], 61.5),
        (["-273000", "0", "40000"], 40),  # parts that are off
        (["200000", "40000"], 40),
        (["nonsense", "127000"], 127),
        (["0"], None),
        ([b"\xff\xfe"], None),
        ([], None),
    ],
)
def test_the_temperature_is_that_of_the_hottest_part(read, zones, celsius):
    assert read({f"sys/class/thermal/thermal_zone{n}/temp": text for n, text in enumerate(zones)}).celsius == celsius


NAMES = tuple(THROTTLED.values())


@pytest.mark.parametrize(
    "text, limits",
    [
        ("throttled=0x0", ()),
        ("throttled=0x1", NAMES[:1]),
        ("throttled=0xf", NAMES),
        ("throttled=0x50005", (NAMES[0], NAMES[2])),
        ("throttled=0xe0000", ()),  # since boot, but not now
        ("VCHI initialization failed", None),
        ('error=1 error_msg="Command not registered"', None),
        ("", None),
        (None, None),
    ],
)
def test_what_the_firmware_limits(read, text, limits):
    assert read({}, text).throttled == limits


def test_the_kernel_comes_before_vcgencmd(read):
    assert read({"sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n"}, "throttled=0x0").throttled == (
        "under-voltage",
        "throttled",
    )


def test_vcgencmd_is_run_for_the_throttling(tmp_path):
    commands = []
    Sensors(tmp_path, command=lambda *words: commands.append(words)).read()
    assert commands == [("vcgencmd", "get_throttled")]


def test_idle_and_waiting_are_not_busy(read):
    user, nice, system, idle, waiting, interrupts, soft, stolen = (n * TICKS for n in (1, 2, 4, 8, 16, 32, 64, 128))
    line = f"cpu  {user} {nice} {system} {idle} {waiting} {interrupts} {soft} {stolen} 0 0\n"
    reading = read({"proc/stat": f"{line}cpu0 0 0 0 0 0 0 0 0 0 0\n"})
    assert (reading.busy, reading.stolen) == (1 + 2 + 4 + 32 + 64, 128)


@pytest.mark.parametrize("text", ["", "intr 1 2 3\n"])
def test_a_stat_without_processors(read, text):
    assert read({"proc/stat": text}).busy is None


@pytest.mark.parametrize("status, runs_on_it", [("Discharging", True), ("Charging", False), ("Not charging", False)])
def test_a_battery(read, status, runs_on_it):
    files = {f"{SUPPLY}/AC/type": "Mains", f"{SUPPLY}/BAT1/type": "Battery", f"{SUPPLY}/BAT1/status": f"{status}\n"}
    assert read(files).battery is runs_on_it


def test_mains_alone_is_no_battery(read):
    assert read({f"{SUPPLY}/AC/type": "Mains\n", f"{SUPPLY}/AC/online": "1\n"}).battery is None


def test_the_battery_of_a_mouse_is_not_the_machine_s(read):
    mouse = f"{SUPPLY}/hidpp_battery_0"
    files = {f"{mouse}/type": "Battery", f"{mouse}/scope": "Device", f"{mouse}/status": "Discharging"}
    assert read(files).battery is None


def test_one_of_two_batteries_discharges(read):
    files = {f"{SUPPLY}/BAT{n}/type": "Battery" for n in range(2)}
    for first, second in (("Discharging", "Not charging"), ("Not charging", "Discharging")):
        states = {f"{SUPPLY}/BAT0/status": first, f"{SUPPLY}/BAT1/status": second}
        assert read({**files, **states}).battery is True


def stat(name: str, *ticks: int) -> str:
    """/proc/PID/stat, with user, system, and those of the children."""
    return f"7 ({name}) S 1 7 7 0 -1 4194304 10 0 0 0 {' '.join(map(str, ticks))} 20 0 1 0 500 9 9\n"


def test_the_time_of_processes_and_of_their_children(tmp_path):
    write(tmp_path, {"proc/stat": "cpu  1 1 1 1 1 1 1 1 0 0\n"})
    write(tmp_path, {"proc/7/stat": stat("python", TICKS, 2 * TICKS, 4 * TICKS, 8 * TICKS)})
    write(tmp_path, {"proc/8/stat": stat("a (b) c) 9", TICKS, 0, 0, 0)})
    sensors = Sensors(tmp_path, command=no_command)
    assert sensors.cpu_seconds([7]) == 15
    assert sensors.cpu_seconds([7, 8, 9]) == 16  # process 9 has ended
    assert sensors.cpu_seconds([]) == 0


def test_the_time_of_processes_on_a_machine_without_proc(tmp_path):
    assert Sensors(tmp_path, command=no_command).cpu_seconds([7]) is None


@pytest.mark.parametrize(
    "content, text", [(b"Raspberry Pi 5\0", "Raspberry Pi 5"), (b" two\nlines\n", "two\nlines"), (b"\n", None)]
)
def test_text_is_without_white_space_at_its_ends(tmp_path, content, text):
    write(tmp_path, {"file": content})
    assert Sensors(tmp_path).text("file") == text


def test_text_of_no_file(tmp_path):
    (tmp_path / "folder").mkdir()
    write(tmp_path, {"binary": b"\xff"})
    sensors = Sensors(tmp_path)
    assert [sensors.text(name) for name in ("none", "folder", "binary")] == [None, None, None]


def test_a_program_that_fails_or_is_missing_gives_none(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    sensors = Sensors(tmp_path)
    assert sensors.read().throttled is None
    program = tmp_path / "vcgencmd"
    program.write_text("#!/bin/sh\necho throttled=0x1\nexit 1\n")
    program.chmod(0o755)
    assert sensors.read().throttled is None
    program.write_text("#!/bin/sh\necho throttled=0x1\n")
    assert sensors.read().throttled == ("under-voltage",)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_this_machine_counts_what_a_process_uses():
    sensors = Sensors()
    before = sensors.read()
    spin = "import time\nwhile time.process_time() < 0.3: pass\ninput()"
    process = subprocess.Popen([sys.executable, "-c", spin], stdin=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 20
        while sensors.cpu_seconds([process.pid]) < 0.28 and time.monotonic() < deadline:
            time.sleep(0.05)
        used, after = sensors.cpu_seconds([process.pid]), sensors.read()
    finally:
        process.communicate(b"\n")
    assert 0.28 <= used < 2
    assert after.busy - before.busy >= used - 0.1
    assert after.seconds > before.seconds
