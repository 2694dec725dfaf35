"""Atomic writes: files and folders appear complete or not at all."""

import errno
import hashlib
import os
import signal
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from commands import heard_interrupts

from edgenet import files
from edgenet.errors import EdgenetError

# The tests may run as root, who may write anywhere: but nobody can make a file below a file.
UNWRITABLE = r"cannot be written to \(.+\); choose another path$"
BELOW_A_FILE = r"/file: cannot be written to \(it is a file\); choose another path$"


def tree(folder) -> dict[str, bytes | None]:
    """The contents of a folder, hidden files included: the bytes of each file, None for folders."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")
    }


def failing(function, on: int, error: BaseException):
    """A wrapper of `function` that raises `error` on call number `on`."""
    calls = 0

    def call(*arguments, **options):
        nonlocal calls
        calls += 1
        if calls == on:
            raise error
        return function(*arguments, **options)

    return call


# write_atomic


@pytest.mark.parametrize("data", [b"", b"new", bytes(3_000_000)], ids=len)
def test_write_atomic_makes_folders_and_replaces(tmp_path, data):
    path = tmp_path / "a" / "b" / "file.bin"
    files.write_atomic(path, b"old")
    files.write_atomic(path, data)
    assert tree(tmp_path) == {"a": None, "a/b": None, "a/b/file.bin": data}


def test_write_atomic_makes_a_file_that_others_may_read(tmp_path):
    files.write_atomic(tmp_path / "file", b"data")
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_write_atomic_that_fails_leaves_the_old_file(tmp_path, monkeypatch, step, error):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, step, failing(getattr(os, step), 1, error))
    with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else EdgenetError):
        files.write_atomic(path, b"new")
    assert tree(tmp_path) == {"file": b"old"}


def test_write_atomic_below_a_file(tmp_path):
    (tmp_path / "file").write_bytes(b"in the way")
    with pytest.raises(EdgenetError, match=BELOW_A_FILE):
        files.write_atomic(tmp_path / "file" / "new", b"data")
    assert tree(tmp_path) == {"file": b"in the way"}


def test_write_atomic_two_folders_below_a_file(tmp_path):
    (tmp_path / "file").write_bytes(b"in the way")
    with pytest.raises(EdgenetError, match=BELOW_A_FILE):
        files.write_atomic(tmp_path / "file" / "folder" / "new", b"data")
    assert tree(tmp_path) == {"file": b"in the way"}


def test_write_atomic_over_a_folder(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(EdgenetError, match=rf"folder: {UNWRITABLE}"):
        files.write_atomic(tmp_path / "folder", b"data")
    assert tree(tmp_path) == {"folder": None}


# write_if_missing, on file systems with few features


def unsupported(*_, **__):
    raise OSError(95, "Operation not supported")


@pytest.mark.parametrize("missing", ["link", "chmod", "symlink"])
def test_write_if_missing_needs_neither_hard_links_nor_permissions(tmp_path, monkeypatch, missing):
    """FAT, exFAT and network drives have neither, and people copy bundles to a Pi with them."""
    monkeypatch.setattr(os, missing, unsupported)
    assert files.write_if_missing(tmp_path / "new.json", b"first")
    assert not files.write_if_missing(tmp_path / "new.json", b"second")
    files.write_atomic(tmp_path / "whole.json", b"whole")
    with files.atomic_folder(tmp_path / "folder") as fresh:
        (fresh / "file").write_bytes(b"in it")
    assert tree(tmp_path) == {
        "new.json": b"first",
        "whole.json": b"whole",
        "folder": None,
        "folder/file": b"in it",
    }


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_without_fsync_is_written_to(tmp_path, monkeypatch, number):
    monkeypatch.setattr(os, "fsync", failing(os.fsync, 1, OSError(number, "not here")))
    assert files.write_if_missing(tmp_path / "new.json", b"first")
    assert tree(tmp_path) == {"new.json": b"first"}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_write_if_missing_that_is_stopped_leaves_nothing(tmp_path, monkeypatch, error):
    monkeypatch.setattr(os, "fsync", failing(os.fsync, 1, error))
    with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else EdgenetError):
        files.write_if_missing(tmp_path / "new.json", b"new")
    assert tree(tmp_path) == {}


def test_only_one_of_many_threads_writes_a_missing_file(tmp_path):
    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(lambda n: files.write_if_missing(tmp_path / "new.json", str(n).encode()), range(200)))
    assert outcomes.count(True) == 1
    assert tree(tmp_path) == {"new.json": str(outcomes.index(True)).encode()}


# Permissions


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
@pytest.mark.parametrize(
    ("umask", "file", "folder"), [(0o077, 0o600, 0o700), (0o022, 0o644, 0o755), (0o002, 0o664, 0o775)]
)
def test_permissions_are_those_that_the_umask_allows(tmp_path, umask, file, folder):
    before = os.umask(umask)
    try:
        files.write_atomic(tmp_path / "a" / "whole", b"")
        files.write_if_missing(tmp_path / "a" / "new", b"")
        with files.atomic_folder(tmp_path / "a" / "made") as fresh:
            (fresh / "in it").write_bytes(b"")
        files.copy_tree(tmp_path / "a" / "made", tmp_path / "a" / "copied")
    finally:
        os.umask(before)
    for path in (tmp_path / "a").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (folder if path.is_dir() else file), path


# Leftovers of a crashed process


def test_temporaries_are_in_the_journal_and_can_be_removed(tmp_path, monkeypatch):
    journal = tmp_path / "journal"
    monkeypatch.setattr(files, "journal", journal)
    with files.atomic_folder(tmp_path / "out") as fresh, files.atomic_file(tmp_path / "file") as file:
        (fresh / "half").write_bytes(b"half")
        file.flush()
        files.remove_temporaries(journal)
        assert set(tree(tmp_path)) == {"journal"}
        fresh.mkdir()  # so that the end of the block finds what it expects
        Path(file.name).write_bytes(b"")
    files.remove_temporaries(journal)  # finished files are not temporary any more
    assert {"out", "file"} <= set(tree(tmp_path))
    files.remove_temporaries(tmp_path / "nowhere")


def test_an_error_of_another_file_names_that_file(tmp_path):
    with (
        pytest.raises(EdgenetError, match=r"^\S*/gone\.png: No such file or directory$"),
        files.atomic_folder(tmp_path / "out"),
    ):
        (tmp_path / "gone.png").read_bytes()


# check_writable


def test_check_writable_leaves_an_old_file_and_makes_none(tmp_path):
    (tmp_path / "old").write_bytes(b"old")
    files.check_writable(tmp_path / "old")
    files.check_writable(tmp_path / "new")
    assert tree(tmp_path) == {"old": b"old"}


def test_check_writable_of_a_folder(tmp_path):
    with pytest.raises(EdgenetError, match=r": cannot be written to \(it is a folder\); choose another path$"):
        files.check_writable(tmp_path)


def test_check_writable_below_a_file(tmp_path):
    (tmp_path / "file").write_bytes(b"in the way")
    with pytest.raises(EdgenetError, match=BELOW_A_FILE):
        files.check_writable(tmp_path / "file" / "new")


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc, which not even root can write to")
def test_check_writable_where_not_even_root_can_write():
    with pytest.raises(EdgenetError, match=rf"/proc/new: {UNWRITABLE}"):
        files.check_writable(Path("/proc/new"))


# atomic_folder


OLD = {"out": None, "out/old.txt": b"old", "out/sub": None, "out/sub/older.txt": b"older"}


@pytest.fixture
def old(tmp_path):
    """A folder `out` with something in it."""
    (tmp_path / "out" / "sub").mkdir(parents=True)
    (tmp_path / "out" / "old.txt").write_bytes(b"old")
    (tmp_path / "out" / "sub" / "older.txt").write_bytes(b"older")
    return tmp_path / "out"


def test_atomic_folder_appears_at_the_end(tmp_path):
    path = tmp_path / "a" / "out"
    with files.atomic_folder(path) as fresh:
        assert list(fresh.iterdir()) == []
        assert fresh.parent == path.parent  # the same file system, so that a rename is enough
        (fresh / "new.txt").write_bytes(b"new")
        assert not path.exists()
    assert tree(tmp_path) == {"a": None, "a/out": None, "a/out/new.txt": b"new"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


def test_atomic_folder_removes_the_replaced_files(old):
    with files.atomic_folder(old, ["old.txt", "sub/older.txt", "not/there.txt"]) as fresh:
        (fresh / "new.txt").write_bytes(b"new")
        assert {name: data for name, data in tree(old.parent).items() if name in OLD} == OLD
    assert tree(old.parent) == {"out": None, "out/new.txt": b"new"}


def test_atomic_folder_keeps_all_other_files(old):
    (old / "sub" / "link").symlink_to("older.txt")
    (old / "sub" / "folder link").symlink_to(old.parent)
    (old / "empty").mkdir()
    with files.atomic_folder(old, ["old.txt"]) as fresh:
        (fresh / "sub").mkdir()
        (fresh / "sub" / "new.txt").write_bytes(b"new")
    assert (old / "sub" / "link").readlink() == Path("older.txt")
    assert (old / "sub" / "folder link").readlink() == old.parent
    found = {name for name in tree(old.parent) if not name.startswith("out/sub/folder link/")}
    assert found == {"out", "out/sub", "out/sub/new.txt", "out/sub/older.txt", "out/sub/link", "out/sub/folder link"}


@pytest.mark.parametrize("new", ["old.txt", "sub", "sub/older.txt/deeper", "old.txt/deeper"])
def test_atomic_folder_overwrites_no_other_file(old, new):
    text = r"(old|older)\.txt: this file would be overwritten; move it elsewhere$"
    with pytest.raises(EdgenetError, match=text), files.atomic_folder(old, []) as fresh:
        (fresh / new).parent.mkdir(parents=True, exist_ok=True)
        (fresh / new).write_bytes(b"new")
    assert tree(old.parent) == OLD


def test_an_interrupt_is_delayed_until_all_files_are_renamed(old, monkeypatch):
    rename, calls = os.rename, []

    def interrupted(*arguments) -> None:
        rename(*arguments)
        calls.append(arguments)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(os, "rename", interrupted)
    with heard_interrupts(), pytest.raises(KeyboardInterrupt), files.atomic_folder(old, ["old.txt"]) as fresh:
        (fresh / "new.txt").write_bytes(b"new")
    assert len(calls) == 3
    assert tree(old.parent) == {"out": None, "out/new.txt": b"new", "out/sub": None, "out/sub/older.txt": b"older"}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, EdgenetError, SystemExit])
def test_atomic_folder_that_fails_leaves_the_old_one(old, error):
    with pytest.raises(error, match=r"^stop$"), files.atomic_folder(old) as fresh:
        (fresh / "sub").mkdir()
        (fresh / "sub" / "half.txt").write_bytes(b"half")
        raise error("stop")
    assert tree(old.parent) == OLD


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_atomic_folder_that_fails_leaves_nothing_new(tmp_path, error):
    with pytest.raises(error), files.atomic_folder(tmp_path / "out") as fresh:
        (fresh / "half.txt").write_bytes(b"half")
        raise error
    assert tree(tmp_path) == {}


def test_parent_folders_are_removed_after_a_failure(tmp_path, monkeypatch):
    (tmp_path / "kept").mkdir()
    files.check_writable(tmp_path / "kept" / "a" / "b" / "new")
    with pytest.raises(KeyboardInterrupt), files.atomic_folder(tmp_path / "kept" / "c" / "d" / "out"):
        raise KeyboardInterrupt
    monkeypatch.setattr(os, "fsync", failing(os.fsync, 1, OSError(28, "No space left on device")))
    with pytest.raises(EdgenetError, match="No space left on device"):
        files.write_atomic(tmp_path / "kept" / "e" / "file", b"new")
    assert tree(tmp_path) == {"kept": None}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(16, "Device or resource busy")])
@pytest.mark.parametrize("on", [1, 2])
def test_atomic_folder_leaves_the_old_one_if_a_rename_fails(old, monkeypatch, on, error):
    # One rename moves the old folder away, a second one puts the new folder in its place. Either may fail.
    monkeypatch.setattr(os, "rename", failing(os.rename, on, error))
    with (
        pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else EdgenetError),
        files.atomic_folder(old) as fresh,
    ):
        (fresh / "new.txt").write_bytes(b"new")
    assert tree(old.parent) == OLD


def test_atomic_folder_below_a_file(tmp_path):
    (tmp_path / "file").write_bytes(b"in the way")
    with pytest.raises(EdgenetError, match=BELOW_A_FILE), files.atomic_folder(tmp_path / "file" / "out"):
        pytest.fail("the work began")
    assert tree(tmp_path) == {"file": b"in the way"}


# read_limited


def test_read_up_to_a_limit(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    assert files.read_limited(tmp_path / "file", 5) == b"12345"
    with pytest.raises(EdgenetError, match=r"file: too large; expected at most 0 MB$"):
        files.read_limited(tmp_path / "file", 4)
    for path, error in ((tmp_path / "nowhere", FileNotFoundError), (tmp_path, IsADirectoryError)):
        with pytest.raises(error):
            files.read_limited(path, 5)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes that have a name")
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_has_no_end_is_not_read(tmp_path, kind):
    path = tmp_path / "file"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(EdgenetError, match=r"file: not a regular file$"):
        files.read_limited(path, 5)


# sha256


@pytest.mark.parametrize("length", [0, 3, 1 << 20, (1 << 20) + 1, 2_500_000])
def test_sha256(tmp_path, length):
    data = (b"edgenet" * (length // 7 + 1))[:length]
    (tmp_path / "file").write_bytes(data)
    assert files.sha256(tmp_path / "file") == hashlib.sha256(data).hexdigest()


def test_sha256_of_the_standards_example(tmp_path):
    # FIPS 180-2, appendix B.1.
    (tmp_path / "file").write_bytes(b"abc")
    assert files.sha256(tmp_path / "file") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
