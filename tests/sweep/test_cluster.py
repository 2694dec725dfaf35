"""A cluster that others have started: who is used, files that travel, and what is refused."""

import errno
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgenet.errors import EdgenetError
from edgenet.sweep import cluster, file_sets, host
from edgenet.sweep.host import Host
from edgenet.sweep.job import Input, Job, Kind

pytest.importorskip("distributed")

from clusters import in_process, run


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    """Caches and locks of this test only; small chunks, so that files are several."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(host, "CHUNK_BYTES", 10_000)


def given(path: Path) -> Input:
    return Input(path, file_sets.digest(path))


def make(folder: Path) -> Path:
    (folder / "b").mkdir(parents=True)
    (folder / "a.bin").write_bytes(bytes(range(256)) * 200)
    (folder / "b" / "c.txt").write_text("12345")
    return folder


@pytest.mark.parametrize("is_near", [True, False])
def test_inputs_and_results_travel(tmp_path, monkeypatch, is_near):
    found = host._found
    if not is_near:
        monkeypatch.setattr(host, "_found", lambda host, digest, path: found(host, digest, None))
    folder = make(tmp_path / "in")
    inputs = {"folder": given(folder), "file": given(folder / "a.bin")}
    texts = {"x/y": "z" * 50_000, "ä": ""}
    taken = []

    def take(job, answer):
        taken.append({path.name: path.read_text("utf-8") for path in answer.files.rglob("*") if path.is_file()})
        return True

    workers = [Host("w0", (), True), Host("w1", ("d",), False)]
    with in_process(*workers) as address, closing(cluster.ClusterPool(address)) as pool:
        assert sorted((each.name, *each.devices, each.exports) for each in pool.workers()) == [
            ("w0", True),
            ("w1", "d", False),
        ]
        jobs = [Job("k", Kind.STUB, f"{n}", {"texts": texts}, inputs, (None, "d")[n % 2], True) for n in range(4)]
        answers = run(pool, jobs, take)
        kept = {path.name for path in (tmp_path / "cache" / "edgenet" / "sweep").iterdir()}
        assert kept == (set() if is_near else {each.digest for each in inputs.values()})
        assert {answer.worker for answer in answers.values()} == {"w0", "w1"}
        assert [answer.result["bytes"] for answer in answers.values()] == [{"folder": 51_205, "file": 51_200}] * 4
        deadline = time.monotonic() + 10
        while any(each.results for each in workers):  # once they are here, they are deleted there
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert taken == [{"y": "z" * 50_000, "ä": ""}] * 4


def test_what_is_changed_on_its_way_is_refused(tmp_path, monkeypatch):
    store, read = host._store, host._read
    monkeypatch.setattr(host, "_found", lambda *arguments: None)
    monkeypatch.setattr(
        host, "_store", lambda host, transfer, data: store(host, transfer, data.replace(b"12345", b"12346"))
    )
    sent = Job("k", Kind.STUB, "sent", {}, {"folder": given(make(tmp_path / "in"))}, attempts=1)
    fetched = Job("k", Kind.STUB, "fetched", {"texts": {"a": "12345"}}, makes_files=True, attempts=1)
    with in_process(Host("w", (), True)) as address, closing(cluster.ClusterPool(address)) as pool:
        problem = run(pool, [sent])["sent"].problem
        assert problem == "w: what has arrived is not what was sent; it was damaged or changed on its way"
        assert list((tmp_path / "cache" / "edgenet" / "sweep").iterdir()) == []
        monkeypatch.setattr(host, "_read", lambda path, offset: read(path, offset).replace(b"12345", b"12346"))
        problem = run(pool, [fetched])["fetched"].problem
        assert problem == "w: its files are not what arrived; they were damaged or changed on their way"


def test_a_full_disk_of_a_worker_is_told(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(host, "_found", lambda *arguments: None)
    sent = Job("k", Kind.STUB, "x", {}, {"folder": given(make(tmp_path / "in"))}, attempts=1)
    with in_process(Host("w", (), True)) as address, closing(cluster.ClusterPool(address)) as pool:
        monkeypatch.setattr(host, "open", full, raising=False)
        problem = run(pool, [sent])["x"].problem
    folder = tmp_path / "cache" / "edgenet" / "sweep"
    assert problem == f"w: no space is left in {folder}; delete something there, and run the same command again"
    assert list(folder.iterdir()) == []


def test_a_worker_of_somebody_else_gets_no_jobs():
    lines = []
    with (
        in_process(None, Host("ours", (), True)) as address,
        closing(cluster.ClusterPool(address, log=lines.append)) as pool,
    ):
        assert [worker.name for worker in pool.workers()] == ["ours"]
    assert len(lines) == 1 and lines[0].endswith("is no `edgenet worker`, so it gets no jobs")


@pytest.mark.parametrize("package", ["edgenet", "distributed"])
def test_another_version_is_told(monkeypatch, package):
    hello, own = host.versions, host.versions()
    monkeypatch.setattr(cluster.ClusterPool, "_check_scheduler", lambda pool: None)
    with in_process(Host("w", (), True)) as address:
        replies = [{**hello(), package: "0.0.1"}]
        monkeypatch.setattr(host, "versions", lambda: replies.pop() if replies else own)
        with pytest.raises(EdgenetError) as error:
            cluster.ClusterPool(address)
    extra = "edgenet[sweep]" if package == "edgenet" else package
    assert str(error.value) == (
        f"w has {package} 0.0.1, this machine has {own[package]}; there: pip install '{extra}=={own[package]}'"
    )


def test_a_scheduler_of_another_version(monkeypatch):
    with in_process() as address:
        monkeypatch.setattr(host, "versions", lambda: {"distributed": "1.0"})
        with pytest.raises(
            EdgenetError, match=r"the scheduler has distributed .*, this machine has 1\.0; `pip install"
        ):
            cluster.ClusterPool(address)


def test_one_device_has_one_worker(monkeypatch):
    machines = iter("ab")
    monkeypatch.setattr(host, "identity", lambda: next(machines))
    with (
        in_process(Host("w0", ("d",), False), Host("w1", ("d", "e"), False)) as address,
        pytest.raises(EdgenetError, match=r'^two workers have the device "d": w[01] and w[01]; stop one of them$'),
    ):
        cluster.ClusterPool(address)


def test_a_job_that_nobody_waits_for_is_ended():
    """Its client has ended, also without a word: Dask then releases its tasks."""
    only = Host("w", (), True)
    with in_process(only) as address:
        pool = cluster.ClusterPool(address)
        answers = []
        (worker,) = pool.workers()
        worker.start(Job("k", Kind.STUB, "x", {"process": True, "seconds": 60}), answers.append)
        deadline = time.monotonic() + 20
        while not only.runner._running:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        pool.close()
        assert [answer.is_lost for answer in answers] == [True]
        while only.runner._running:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_inputs_that_nobody_uses_are_deleted(tmp_path, monkeypatch):
    only = Host("w", (), True)
    worker = SimpleNamespace(plugins={host.NAME: SimpleNamespace(host=only)})
    old = make(only.inputs / "old")
    now = time.time() + host.KEEP_SECONDS + 60
    monkeypatch.setattr(host.time, "time", lambda: now)
    assert host._store(only, "t", b"abc") is None
    assert not old.exists()
    assert host._host(worker) is only
