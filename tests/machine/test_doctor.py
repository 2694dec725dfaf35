"""The doctor on fake machines: folders with the files of /proc and /sys, and the output of programs."""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import ai_edge_litert.interpreter as litert
import pytest

from edgenet.cli.commands import doctor as command
from edgenet.errors import EdgenetError
from edgenet.litert import delegate
from edgenet.machine import doctor
from edgenet.machine.doctor import MachineFacts, examine
from edgenet.machine.sensors import Sensors
from edgenet.records import Finding

CPUS = "sys/devices/system/cpu"
TICKS = os.sysconf("SC_CLK_TCK")

A53 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
A72 = "fp asimd evtstrm crc32 cpuid"
A76 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
ZEN5 = "fpu sse2 avx2 fma avx_vnni avx512_vnni"


def arm(features: str, *parts: str) -> str:
    """/proc/cpuinfo of a board."""
    cores = (f"processor\t: {n}\nFeatures\t: {features}\nCPU part\t: {part}\n" for n, part in enumerate(parts))
    return "\n".join([*cores, "Revision\t: c03115\nModel\t\t: a board"])


def x86(name: str, flags: str, cores: int) -> str:
    """/proc/cpuinfo of a PC."""
    return "\n".join(f"processor\t: {n}\nmodel name\t: {name}\nflags\t\t: {flags}\n" for n in range(cores))


def memory(free: float, total: float, swapped: float = 0.0) -> str:
    """/proc/meminfo, of gigabytes."""
    gigabytes = {"MemTotal": total, "MemAvailable": free, "SwapTotal": 1, "SwapFree": 1 - swapped}
    lines = [f"{name}: {round(gb * 1e9 / 1024):11} kB" for name, gb in gigabytes.items()]
    return "\n".join([*lines, "HugePages_Total:       0\n"])


def stat(busy: float, stolen: float = 0.0) -> str:
    """/proc/stat, of seconds."""
    return f"cpu  {round(busy * TICKS)} 0 0 5000 0 0 0 {round(stolen * TICKS)} 0 0\ncpu0 0 0 0 0 0 0 0 0 0 0\n"


def each(cores: range, name: str, value: object) -> dict[str, str]:
    """A file of some cores."""
    return {f"{CPUS}/cpu{core}/{name}": f"{value}\n" for core in cores}


def pi(model: str, features: str, part: str, megahertz: int) -> dict[str, str]:
    cores = range(4)
    return {
        "proc/device-tree/model": f"{model}\0",
        "proc/cpuinfo": arm(features, *[part] * 4),
        "proc/meminfo": memory(3.5, 4.0),
        "sys/class/thermal/thermal_zone0/temp": "48312\n",
        **each(cores, "cpufreq/scaling_governor", "ondemand"),
        **each(cores, "cpufreq/scaling_cur_freq", 600_000),
        **each(cores, "cpufreq/cpuinfo_max_freq", megahertz * 1_000),
    }


PI4 = pi("Raspberry Pi 4 Model B Rev 1.4", A72, "0xd08", 1_800)
PI5 = pi("Raspberry Pi 5 Model B Rev 1.0", A76, "0xd0b", 2_400)
BOARD = {  # four small cores and four large ones
    **pi("Radxa ROCK 5B", A76, "0xd05", 1_800),
    "proc/cpuinfo": arm(A76, *["0xd05"] * 4, *["0xd0b"] * 4),
    **each(range(8), "cpufreq/scaling_governor", "performance"),
    **each(range(4), "cpu_capacity", 530),
    **each(range(4, 8), "cpu_capacity", 1024),
}
LAPTOP = {
    "proc/cpuinfo": x86("AMD Ryzen AI 9", ZEN5, 4),
    "proc/meminfo": memory(20, 32, 0.5),
    "sys/class/thermal/thermal_zone0/temp": "51000",
    "sys/class/power_supply/AC/type": "Mains",
    "sys/class/power_supply/BAT0/type": "Battery",
    "sys/class/power_supply/BAT0/status": "Discharging",
    **each(range(4), "cpufreq/scaling_governor", "powersave"),
    **each(range(4), "cpufreq/scaling_cur_freq", 2_000_000),
    # Equal cores, of which two may boost a little more.
    **each(range(2), "cpufreq/cpuinfo_max_freq", 5_100_000),
    **each(range(2, 4), "cpufreq/cpuinfo_max_freq", 4_900_000),
}
VM = {"proc/cpuinfo": x86("AMD EPYC", f"{ZEN5} hypervisor", 2), "proc/meminfo": memory(7, 8)}

VCGENCMD = ("vcgencmd", "get_throttled")
MACBOOK = {
    ("sysctl", "-n", "machdep.cpu.brand_string"): "Apple M2",
    ("sysctl", "-n", "hw.optional.arm.FEAT_DotProd"): "1",
    ("sysctl", "-n", "hw.optional.arm.FEAT_I8MM"): "1",
    ("sysctl", "-n", "hw.optional.arm.FEAT_FP16"): "1",
    ("sysctl", "-n", "hw.perflevel0.physicalcpu"): "4",
    ("sysctl", "-n", "hw.perflevel1.physicalcpu"): "4",
    ("pmset", "-g", "batt"): "Now drawing from 'AC Power'\n -InternalBattery-0 (id=1)\t100%; charged",
}


@pytest.fixture
def machine(tmp_path) -> Callable[..., MachineFacts]:
    """Makes a fake machine from files and the output of commands.

    others: cores that other programs use, None for not available. stolen: seconds since it started.
    """

    def make(
        files: dict[str, str], commands: dict | None = None, others: float | None = 0, stolen: float = 0, **facts
    ) -> MachineFacts:
        root, now = tmp_path / "root", [1_000.0]
        shutil.rmtree(root, ignore_errors=True)

        def says(*arguments: str) -> str | None:
            return (commands or {}).get(arguments)

        def pause(seconds: float) -> None:
            now[0] += seconds
            tell(seconds)

        def tell(seconds: float) -> None:
            if others is not None:
                write(root, "proc/stat", stat(100 + others * seconds, stolen))

        for path, text in files.items():
            write(root, path, text)
        tell(0)
        known = {"system": "Linux", "architecture": "aarch64", "bits": 64, "library": "glibc 2.36", "python": (3, 11)}
        known |= {"versions": {"ai-edge-litert": "2.3.0", "numpy": "2.1.3", "pillow": "13.0.0"}, "usable": set()}
        sensors = Sensors(root, lambda: now[0], says)
        return MachineFacts(**{**known, **facts}, sensors=sensors, command=says, pause=pause)

    return make


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def texts(facts: MachineFacts, level: str) -> list[str]:
    """The texts of the findings of a level."""
    return [finding.text for finding in examine(facts) if finding.level == level]


def finding_with(facts: MachineFacts, word: str) -> Finding:
    """The one finding with this word in it."""
    (found,) = (finding for finding in examine(facts) if word in finding.text)
    return found


def test_a_pi_4(machine):
    facts = machine(PI4, {VCGENCMD: "throttled=0x0"})
    assert texts(facts, "wrong") == []
    assert texts(facts, "warning") == [
        "governor ondemand: the CPU frequency will vary; "
        "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
    ]
    assert texts(facts, "note") == [
        "no bundle to check XNNPACK with; pass one: edgenet doctor BUNDLE",
        "Raspberry Pi 4 Model B Rev 1.4 has no int8 dot product, so int8 gains less than on a Pi 5 or a recent phone; "
        "benchmark both",
        "LiteRT computes float16 files in float32 on Raspberry Pi 4 Model B Rev 1.4: smaller, not faster; a Pi 5 or a "
        "phone since 2018 computes in half precision, so measure its drift there",
    ]
    assert texts(facts, "ok") == [
        "64-bit Linux on aarch64",
        "glibc 2.36",
        "Python 3.11",
        "ai-edge-litert 2.3.0, numpy 2.1.3, pillow 13.0.0",
        "4 identical cores",
        "3.5 of 4.0 GB of memory free, 0.0 GB swapped out",
        "48 degrees Celsius",
        "throttled: no",
        "other programs use 0.0 cores now",
    ]


def test_a_pi_5_has_the_dot_product(machine):
    found = finding_with(machine(PI5), "int8")
    assert found == Finding("ok", "Raspberry Pi 5 Model B Rev 1.0 has int8 instructions: dotprod")


@pytest.mark.parametrize(("features", "level"), [(A53, "note"), (A72, "note"), (A76, "ok")])
def test_half_precision(machine, features, level):
    """Of Arm's cores, the A76 and later ones have it, and Linux calls it asimdhp (arch/arm64/kernel/cpuinfo.c)."""
    found = finding_with(machine({**PI5, "proc/cpuinfo": arm(features, "0xd0b")}), "float16")
    assert (found.level, "in float32" in found.text) == (level, level == "note")


def test_x86_does_not_compute_in_half_precision(machine):
    facts = machine({"proc/cpuinfo": LAPTOP["proc/cpuinfo"].replace("avx512_vnni", "avx512_vnni avx512_fp16")})
    assert finding_with(facts, "float16").level == "note"


@pytest.mark.parametrize(
    "firmware, remedy",
    [
        ("throttled=0x50005", "throttled: under-voltage, throttled; use a stronger power supply"),
        ("throttled=0xe0008", "throttled: near the temperature limit; cool it with a heat sink or a fan"),
    ],
)
def test_a_throttled_pi(machine, firmware, remedy):
    assert finding_with(machine(PI4, {VCGENCMD: firmware}), "throttled") == Finding("warning", remedy)


def test_a_hot_machine(machine):
    hot = {**PI5, "sys/class/thermal/thermal_zone0/temp": "70600"}
    assert finding_with(machine(hot), "degrees") == Finding(
        "warning", "71 degrees Celsius: hot; let it cool down, or add a fan"
    )


def test_cores_of_two_kinds(machine):
    found = finding_with(machine(BOARD), "cores of")
    assert found.level == "warning"
    assert found.text == (
        "8 cores of 2 kinds, and a benchmark may move between them; pin it to one kind: cpus=4-7 or cpus=0-3"
    )


@pytest.mark.parametrize("usable, text", [({4, 5}, "2 identical cores"), ({0, 1, 2, 3}, "4 identical cores")])
def test_a_run_that_is_pinned_to_one_kind(machine, usable, text):
    assert finding_with(machine(BOARD, usable=usable), "identical cores") == Finding("ok", text)


def test_only_cores_that_may_be_used_are_named(machine):
    assert finding_with(machine(BOARD, usable={1, 3, 4, 5, 6}), "cores of").text.endswith("cpus=4-6 or cpus=1,3")


def test_kinds_by_the_clock(machine):
    equal, faster = each(range(8), "cpu_capacity", 1024), each(range(4, 8), "cpufreq/cpuinfo_max_freq", 2_400_000)
    assert finding_with(machine({**BOARD, **equal, **faster}), "cores of").text.endswith("cpus=4-7 or cpus=0-3")


def test_kinds_by_the_part(machine):
    files = {"proc/cpuinfo": arm(A53, "0xd03", "0xd03", "0xd08")}
    assert finding_with(machine(files), "cores of").text.endswith("cpus=0-1 or cpus=2")


@pytest.mark.parametrize(
    "numbers, text", [({5}, "5"), ({0, 1}, "0-1"), ({0, 2, 3, 4, 7}, "0,2-4,7"), (set(range(12)), "0-11")]
)
def test_ranges(numbers, text):
    assert doctor.ranges(numbers) == text


def test_a_laptop_on_battery(machine):
    facts = machine(LAPTOP, architecture="x86_64")
    assert texts(facts, "warning") == [
        "governor powersave: the CPU frequency will vary; "
        "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
        "on battery, which limits the CPU frequency; plug it in",
    ]
    assert "x86: the speedup of int8 is not that of a Raspberry Pi or a phone; benchmark there as well" in texts(
        facts, "note"
    )
    assert {
        "AMD Ryzen AI 9 has int8 instructions: AVX-512 VNNI, AVX-VNNI",
        "4 identical cores",
        "20.0 of 32.0 GB of memory free, 0.5 GB swapped out",
    } <= {*texts(facts, "ok")}


def test_a_laptop_that_is_plugged_in(machine):
    files = {**LAPTOP, "sys/class/power_supply/BAT0/status": "Charging"}
    assert not any("battery" in finding.text for finding in examine(machine(files)))


def test_cores_with_different_governors(machine):
    files = {**PI5, **each(range(1), "cpufreq/scaling_governor", "performance")}
    found = finding_with(machine(files), "governor")
    assert (found.level, found.text.split(":")[0]) == ("warning", "governor ondemand, performance")


def test_the_governor_performance(machine):
    assert finding_with(machine(BOARD), "governor") == Finding("ok", "governor performance")


def test_a_virtual_machine(machine):
    facts = machine(VM, architecture="x86_64", stolen=4)
    assert texts(facts, "warning") == [
        "the host took 4% of this virtual machine's CPU time; measure on another machine"
    ]
    text = (
        "not available on this virtual machine: CPU frequency, temperature; "
        "measure twice, and rely on ratios more than on times"
    )
    assert texts(facts, "note")[-1] == text


def test_a_little_stolen_time_is_ignored(machine):
    assert texts(machine(VM, stolen=1), "warning") == []


def test_a_virtual_machine_that_only_systemd_knows(machine):
    facts = machine({"proc/cpuinfo": arm(A76, "0xd0c")}, {("systemd-detect-virt", "--vm"): "kvm"})
    assert texts(facts, "note")[-1].startswith("not available on this virtual machine: CPU frequency, temperature")


def test_a_container_with_limits(machine):
    files = {**PI5, "sys/fs/cgroup/cpu.max": "150000 100000", "sys/fs/cgroup/memory.max": "268435456"}
    assert {
        "a quota limits this container to 1.5 cores; assign it whole cores instead (Docker's cpuset)",
        "0.3 of 4.0 GB of memory free, 0.0 GB swapped out; close other programs: swapping would slow the measurements",
    } <= {*texts(machine(files), "warning")}


def test_a_container_without_limits(machine):
    files = {**BOARD, "sys/fs/cgroup/cpu.max": "max 100000", "sys/fs/cgroup/memory.max": "max"}
    assert texts(machine(files, usable={0}), "warning") == []


@pytest.mark.parametrize("free, level", [(0.6, "ok"), (0.5, "warning")])
def test_little_memory(machine, free, level):
    assert finding_with(machine({**PI4, "proc/meminfo": memory(free, 1)}), "of memory free").level == level


@pytest.mark.parametrize("others, level", [(0.0, "ok"), (0.04, "ok"), (1.5, "warning")])
def test_other_programs(machine, others, level):
    found = finding_with(machine(PI5, others=others), "other programs")
    assert found.level == level
    assert found.text.startswith(f"other programs use {others:.1f} cores now")
    assert ("close them" in found.text) == (level == "warning")


def test_a_mac(machine):
    facts = machine({}, MACBOOK, others=None, system="Darwin", architecture="arm64", library="macOS 14.5")
    assert texts(facts, "wrong") + texts(facts, "warning") == []
    assert texts(facts, "ok")[:2] == ["64-bit Darwin on arm64", "macOS 14.5"]
    assert texts(facts, "ok")[-2:] == [
        "Apple M2 has int8 instructions: dotprod, i8mm",
        "Apple M2 has half-precision instructions, in which float16 files are computed",
    ]
    assert texts(facts, "note")[1:] == [
        "4 fast and 4 slow cores, and macOS cannot pin a process to cores; use threads=1 to 4",
        "not available on this machine: CPU frequency, temperature, load of other programs; measure twice, and rely on "
        "ratios more than on times",
    ]


def test_windows(machine):
    facts = machine({}, others=None, system="Windows", architecture="AMD64", library="Windows 11", usable=set())
    assert texts(facts, "wrong") + texts(facts, "warning") == []
    assert texts(facts, "ok")[:2] == ["64-bit Windows on AMD64", "Windows 11"]
    assert "not available: whether AMD64 has int8 instructions; benchmark int8 and float32" in texts(facts, "note")


def test_a_mac_on_battery(machine):
    facts = machine({}, {("pmset", "-g", "batt"): "Now drawing from 'Battery Power'"}, others=None, system="Darwin")
    assert texts(facts, "warning") == ["on battery, which limits the CPU frequency; plug it in"]


@pytest.mark.parametrize(
    "facts, found",
    [
        ({"bits": 32, "architecture": "armv7l"}, "32-bit Linux on armv7l"),
        ({"bits": 32}, "32-bit Linux on aarch64"),  # 32-bit Raspberry Pi OS has a 64-bit kernel
        ({"bits": 32, "architecture": "i686"}, "32-bit Linux on i686"),
        ({"architecture": "riscv64"}, "64-bit Linux on riscv64"),
        ({"system": "Darwin", "architecture": "x86_64", "library": "macOS 13.1"}, "64-bit Darwin on x86_64"),
        ({"library": ""}, "no glibc (musl, as in Alpine?)"),
        ({"library": "musl 1.2.5"}, "no glibc (musl, as in Alpine?)"),
        ({"library": "glibc 2.24"}, "glibc 2.24"),
        ({"system": "Darwin", "architecture": "arm64", "library": "macOS 11.7.10"}, "macOS 11.7.10"),
        ({"python": (3, 9)}, "Python 3.9"),
        ({"python": (3, 15)}, "Python 3.15"),
    ],
)
def test_machines_without_a_wheel(machine, facts, found):
    (text,) = texts(machine(PI5, **facts), "wrong")
    assert text.startswith(f"{found}: LiteRT has no wheel for it; use ")


@pytest.mark.parametrize("python", [(3, 10), (3, 14)])
def test_pythons_with_a_wheel(machine, python):
    assert texts(machine(PI5, python=python), "wrong") == []


def test_packages_that_are_missing(machine, tmp_path):
    facts = machine(PI5, versions={"numpy": "2.1.3"}, bundle=tmp_path)
    assert texts(facts, "wrong") == [
        "ai-edge-litert -, numpy 2.1.3, pillow -: not all are installed; pip install ai-edge-litert pillow"
    ]


def test_every_finding_is_one_line_and_every_warning_has_a_remedy(machine):
    for files in (PI4, PI5, BOARD, LAPTOP, VM, {}):
        for finding in examine(machine(files, {VCGENCMD: "throttled=0xf"}, others=2, stolen=20)):
            assert "\n" not in finding.text
            assert finding.level == "ok" or ";" in finding.text, finding


def test_xnnpack_runs_the_operators_of_a_bundle(machine, tiny_bundle):
    facts = machine(PI5, bundle=tiny_bundle.folder)
    assert texts(facts, "wrong") == []
    lines = [text for text in texts(facts, "ok") if "XNNPACK" in text]
    ends = ("float32", "float16", "dynamic", "int8, all but QUANTIZE, SOFTMAX")
    for line, end in zip(lines, ends, strict=True):
        found = re.fullmatch(rf"XNNPACK runs (\d+) of (\d+) operators of {end}", line)
        assert (int(found[1]) < int(found[2])) == ("all but" in end)


def test_without_xnnpack_it_is_slow(machine, tiny_bundle, monkeypatch):
    without = litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    monkeypatch.setattr(litert, "Interpreter", partial(litert.Interpreter, experimental_op_resolver_type=without))
    here = lambda files: {name: delegate.inspect_delegation(path) for name, path in files.items()}  # noqa: E731
    monkeypatch.setattr(doctor, "inspect_files", here)
    text = texts(machine(BOARD, usable={0}, bundle=tiny_bundle.folder), "warning")[0]
    assert re.match(r"XNNPACK runs 0 of \d+ operators of float32, all but CONV_2D, DEPTHWISE_CONV_2D, ", text)
    assert text.endswith("SOFTMAX, which are slow without it; export it again")


def test_operators_between_two_delegates_are_not_delegated(tmp_path, monkeypatch):
    names = ("CONV_2D", "PAD", "CUSTOM", "CONV_2D", "SOFTMAX")
    nodes = [{"index": n, "op_name": name, "inputs": [n, 10 + n], "outputs": [n + 1]} for n, name in enumerate(names)]
    nodes += [
        {"index": 5, "op_name": "DELEGATE", "inputs": [0, 10, 11], "outputs": [2]},
        {"index": 6, "op_name": "DELEGATE", "inputs": [3, 13], "outputs": [4]},
    ]

    class Fake:
        def __init__(self, model_path):
            assert model_path == str(tmp_path)

        def allocate_tensors(self):
            pass

        def _get_ops_details(self):
            return nodes

    monkeypatch.setattr(litert, "Interpreter", Fake)
    assert delegate.inspect_delegation(tmp_path) == (5, ["CUSTOM", "SOFTMAX"])


def test_a_bundle_that_does_not_exist(machine, tmp_path):
    assert texts(machine(PI5, bundle=tmp_path / "none"), "wrong") == [
        f"{tmp_path / 'none'}: not a bundle (no such folder); create one with `edgenet export`"
    ]


def test_a_damaged_bundle(machine, tiny_bundle, tmp_path):
    copy = shutil.copytree(tiny_bundle.folder, tmp_path / "copy")
    (copy / "int8.tflite").write_bytes(b"TFL3")
    (text,) = texts(machine(PI5, bundle=copy), "wrong")
    assert text.startswith(f"{copy / 'int8.tflite'}: expected ")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("raise ImportError('libstdc++.so.6: version\\nnot found')", "libstdc++.so.6: version"),
        ("import os; os.kill(os.getpid(), 4)", "its process crashed (SIGILL)"),
    ],
)
def test_a_litert_that_does_not_load(machine, tiny_bundle, tmp_path, monkeypatch, text, found):
    (tmp_path / "ai_edge_litert").mkdir()
    (tmp_path / "ai_edge_litert" / "__init__.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (text,) = texts(machine(PI5, bundle=tiny_bundle.folder), "wrong")
    assert text.startswith(f"LiteRT does not work: {found}")
    assert text.endswith("; uninstall and install again: ai-edge-litert, numpy, pillow".replace(",", ""))


def test_the_doctor_needs_nothing_but_python():
    code = "import sys; sys.modules['numpy'] = sys.modules['ai_edge_litert'] = None; import edgenet.machine.doctor"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_this_machine_can_run_edgenet():
    facts = replace(MachineFacts(), pause=lambda seconds: None, sensors=Sensors(clock=iter((0.0, 0.5)).__next__))
    findings = examine(facts)
    assert not [finding for finding in findings if finding.level == "wrong"]


@pytest.fixture
def run(machine, monkeypatch, tmp_path, capfd):
    """Runs the verb as on a fake machine, and gives what it prints."""
    monkeypatch.chdir(tmp_path)

    def run_one(*arguments: str, **facts) -> str:
        monkeypatch.setattr(doctor, "MachineFacts", lambda bundle: machine(BOARD, bundle=bundle, usable={4}, **facts))
        parser = argparse.ArgumentParser()
        command.add(parser)
        command.run(parser.parse_args(arguments))
        return capfd.readouterr().out

    return run_one


def test_the_verb_without_a_bundle(run):
    out = run()
    assert "note  no bundle to check XNNPACK with" in out
    assert out.endswith("\n\nedgenet runs here, and nothing should disturb its timings.\n\nNext: edgenet export\n")


def test_the_verb_takes_the_bundle_of_the_bundled_model_where_it_is(run, tiny_bundle, tmp_path):
    (tmp_path / "build").mkdir()
    shutil.copytree(tiny_bundle.folder, tmp_path / "build" / "mobilenet_v1_0.5_96")
    assert " operators of float32\n" in run()


def test_the_verb_takes_another_bundle(run, tiny_bundle):
    names = [variant["name"] for variant in json.loads(tiny_bundle.file("manifest.json").read_text())["variants"]]
    out = run(str(tiny_bundle.folder))
    assert all(f" operators of {name}" in out for name in names)


def test_the_verb_fails_where_something_is_wrong(run, capfd):
    with pytest.raises(EdgenetError, match=r"^edgenet cannot run on this machine yet; fix "):
        run(library="")
    assert "wrong  no glibc (musl, as in Alpine?)" in capfd.readouterr().out
