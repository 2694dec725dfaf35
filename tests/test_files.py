"""Files and folders that appear whole or not at all."""

import errno
import hashlib
import os
import signal
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edgenet import files
from edgenet.errors import EdgenetError

# The tests may run as root, whom no permission stops: what cannot be a folder stops everybody.
UNWRITABLE = r"expected a place to write to, found: .+; free it or name another$"
IN_THE_WAY = r"/file: expected a place to write to, found: a file; free it or name another$"


def tree(folder) -> dict[str, bytes | None]:
    """All that is in a folder, hidden files too: the bytes of each file, None for folders."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")
    }


def failing(function, on: int, error: BaseException):
    """`function`, whose call number `on` raises `error` in its place."""
    calls = 0

    def call(*arguments, **options):
        nonlocal calls
        calls += 1
        if calls == on:
            raise error
        return function(*arguments, **options)

    return call


# write_whole


@pytest.mark.parametrize("data", [b"", b"new", bytes(3_000_000)], ids=len)
def test_write_whole_makes_folders_and_replaces(tmp_path, data):
    path = tmp_path / "a" / "b" / "file.bin"
    files.write_whole(path, b"old")
    files.write_whole(path, data)
    assert tree(tmp_path) == {"a": None, "a/b": None, "a/b/file.bin": data}


def test_write_whole_makes_a_file_that_others_may_read(tmp_path):
    files.write_whole(tmp_path / "file", b"data")
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_write_whole_that_is_stopped_leaves_the_old_file(tmp_path, monkeypatch, step, error):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, step, failing(getattr(os, step), 1, error))
    with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else EdgenetError):
        files.write_whole(path, b"new")
    assert tree(tmp_path) == {"file": b"old"}


def test_write_whole_below_a_file(tmp_path):
    (tmp_path / "file").write_bytes(b"in the way")
    with pytest.raises(EdgenetError, match=IN_THE_WAY):
        files.write_whole(tmp_path / "file" / "new", b"data")
    assert tree(tmp_path) == {"file": b"in the way"}


def test_write_whole_two_folders_below_a_file(tmp_path):
    (tmp_path / "file").write_bytes(b"in the way")
    with pytest.raises(EdgenetError, match=IN_THE_WAY):
        files.write_whole(tmp_path / "file" / "folder" / "new", b"data")
    assert tree(tmp_path) == {"file": b"in the way"}


def test_write_whole_over_a_folder(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(EdgenetError, match=rf"folder: {UNWRITABLE}"):
        files.write_whole(tmp_path / "folder", b"data")
    assert tree(tmp_path) == {"folder": None}


# write_new, without what some file systems lack


def refused(*_, **__):
    raise OSError(95, "Operation not supported")


@pytest.mark.parametrize("missing", ["link", "chmod", "symlink"])
def test_write_new_needs_neither_hard_links_nor_permissions(tmp_path, monkeypatch, missing):
    """FAT, exFAT and network drives have neither, and bundles reach a Pi on them."""
    monkeypatch.setattr(os, missing, refused)
    assert files.write_new(tmp_path / "new.json", b"first")
    assert not files.write_new(tmp_path / "new.json", b"second")
    files.write_whole(tmp_path / "whole.json", b"whole")
    with files.whole_folder(tmp_path / "folder") as fresh:
        (fresh / "file").write_bytes(b"in it")
    assert tree(tmp_path) == {
        "new.json": b"first",
        "whole.json": b"whole",
        "folder": None,
        "folder/file": b"in it",
    }


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_that_cannot_bring_a_file_to_the_disk_at_once_is_written(tmp_path, monkeypatch, number):
    monkeypatch.setattr(os, "fsync", failing(os.fsync, 1, OSError(number, "not here")))
    assert files.write_new(tmp_path / "new.json", b"first")
    assert tree(tmp_path) == {"new.json": b"first"}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_write_new_that_is_stopped_leaves_nothing(tmp_path, monkeypatch, error):
    monkeypatch.setattr(os, "fsync", failing(os.fsync, 1, error))
    with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else EdgenetError):
        files.write_new(tmp_path / "new.json", b"new")
    assert tree(tmp_path) == {}


def test_of_many_who_write_a_new_file_one_does(tmp_path):
    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(lambda n: files.write_new(tmp_path / "new.json", str(n).encode()), range(200)))
    assert outcomes.count(True) == 1
    assert tree(tmp_path) == {"new.json": str(outcomes.index(True)).encode()}


# Permissions


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
@pytest.mark.parametrize(
    ("umask", "file", "folder"), [(0o077, 0o600, 0o700), (0o022, 0o644, 0o755), (0o002, 0o664, 0o775)]
)
def test_permissions_are_those_that_the_umask_leaves(tmp_path, umask, file, folder):
    before = os.umask(umask)
    try:
        files.write_whole(tmp_path / "a" / "whole", b"")
        files.write_new(tmp_path / "a" / "new", b"")
        with files.whole_folder(tmp_path / "a" / "made") as fresh:
            (fresh / "in it").write_bytes(b"")
        files.copy_tree(tmp_path / "a" / "made", tmp_path / "a" / "copied")
    finally:
        os.umask(before)
    for path in (tmp_path / "a").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (folder if path.is_dir() else file), path


# What a process that died has left


def test_temporaries_are_noted_and_can_be_removed(tmp_path, monkeypatch):
    journal = tmp_path / "journal"
    monkeypatch.setattr(files, "journal", journal)
    with files.whole_folder(tmp_path / "out") as fresh, files.written(tmp_path / "file") as file:
        (fresh / "half").write_bytes(b"half")
        file.flush()
        files.remove_temporaries(journal)
        assert set(tree(tmp_path)) == {"journal"}
        fresh.mkdir()  # so that the end of the block finds what it expects
        Path(file.name).write_bytes(b"")
    files.remove_temporaries(journal)  # what is finished is no temporary any more
    assert {"out", "file"} <= set(tree(tmp_path))
    files.remove_temporaries(tmp_path / "nowhere")


def test_another_file_that_fails_meanwhile_is_the_one_that_is_named(tmp_path):
    with (
        pytest.raises(EdgenetError, match=r"^\S*/gone\.png: No such file or directory$"),
        files.whole_folder(tmp_path / "out"),
    ):
        (tmp_path / "gone.png").read_bytes()


# check_writable


def test_check_writable_leaves_an_old_file_and_makes_none(tmp_path):
    (tmp_path / "old").write_bytes(b"old")
    files.check_writable(tmp_path / "old")
    files.check_writable(tmp_path / "new")
    assert tree(tmp_path) == {"old": b"old"}


def test_check_writable_of_a_folder(tmp_path):
    with pytest.raises(
        EdgenetError, match=r": expected a place to write to, found: a folder; free it or name another$"
    ):
        files.check_writable(tmp_path)


def test_check_writable_below_a_file(tmp_path):
    (tmp_path / "file").write_bytes(b"in the way")
    with pytest.raises(EdgenetError, match=IN_THE_WAY):
        files.check_writable(tmp_path / "file" / "new")


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no /proc, which nobody can write to, on this system")
def test_check_writable_where_not_even_root_may():
    with pytest.raises(EdgenetError, match=rf"/proc/new: {UNWRITABLE}"):
        files.check_writable(Path("/proc/new"))


# whole_folder


OLD = {"out": None, "out/old.txt": b"old", "out/sub": None, "out/sub/older.txt": b"older"}


@pytest.fixture
def old(tmp_path):
    """A folder `out` with something in it."""
    (tmp_path / "out" / "sub").mkdir(parents=True)
    (tmp_path / "out" / "old.txt").write_bytes(b"old")
    (tmp_path / "out" / "sub" / "older.txt").write_bytes(b"older")
    return tmp_path / "out"


def test_whole_folder_appears_at_the_end(tmp_path):
    path = tmp_path / "a" / "out"
    with files.whole_folder(path) as fresh:
        assert list(fresh.iterdir()) == []
        assert fresh.parent == path.parent  # the same file system, so that a rename is enough
        (fresh / "new.txt").write_bytes(b"new")
        assert not path.exists()
    assert tree(tmp_path) == {"a": None, "a/out": None, "a/out/new.txt": b"new"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


def test_whole_folder_takes_the_place_of_what_it_replaces(old):
    with files.whole_folder(old, ["old.txt", "sub/older.txt", "not/there.txt"]) as fresh:
        (fresh / "new.txt").write_bytes(b"new")
        assert {name: data for name, data in tree(old.parent).items() if name in OLD} == OLD
    assert tree(old.parent) == {"out": None, "out/new.txt": b"new"}


def test_whole_folder_leaves_what_it_does_not_replace(old):
    (old / "sub" / "link").symlink_to("older.txt")
    (old / "sub" / "folder link").symlink_to(old.parent)
    (old / "empty").mkdir()
    with files.whole_folder(old, ["old.txt"]) as fresh:
        (fresh / "sub").mkdir()
        (fresh / "sub" / "new.txt").write_bytes(b"new")
    assert (old / "sub" / "link").readlink() == Path("older.txt")
    assert (old / "sub" / "folder link").readlink() == old.parent
    found = {name for name in tree(old.parent) if not name.startswith("out/sub/folder link/")}
    assert found == {"out", "out/sub", "out/sub/new.txt", "out/sub/older.txt", "out/sub/link", "out/sub/folder link"}


@pytest.mark.parametrize("new", ["old.txt", "sub", "sub/older.txt/deeper", "old.txt/deeper"])
def test_whole_folder_replaces_nothing_else(old, new):
    text = r"(old|older)\.txt: this file is in the way of a new one; move it to another folder$"
    with pytest.raises(EdgenetError, match=text), files.whole_folder(old, []) as fresh:
        (fresh / new).parent.mkdir(parents=True, exist_ok=True)
        (fresh / new).write_bytes(b"new")
    assert tree(old.parent) == OLD


def test_an_interrupt_waits_until_all_files_are_in_their_place(old, monkeypatch):
    rename, calls = os.rename, []

    def interrupted(*arguments) -> None:
        rename(*arguments)
        calls.append(arguments)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(os, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), files.whole_folder(old, ["old.txt"]) as fresh:
        (fresh / "new.txt").write_bytes(b"new")
    assert len(calls) == 3
    assert tree(old.parent) == {"out": None, "out/new.txt": b"new", "out/sub": None, "out/sub/older.txt": b"older"}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, EdgenetError, SystemExit])
def test_whole_folder_that_is_stopped_leaves_the_old_one(old, error):
    with pytest.raises(error, match=r"^stop$"), files.whole_folder(old) as fresh:
        (fresh / "sub").mkdir()
        (fresh / "sub" / "half.txt").write_bytes(b"half")
        raise error("stop")
    assert tree(old.parent) == OLD


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_whole_folder_that_is_stopped_leaves_nothing_new(tmp_path, error):
    with pytest.raises(error), files.whole_folder(tmp_path / "out") as fresh:
        (fresh / "half.txt").write_bytes(b"half")
        raise error
    assert tree(tmp_path) == {}


def test_folders_made_on_the_way_go_too(tmp_path, monkeypatch):
    (tmp_path / "kept").mkdir()
    files.check_writable(tmp_path / "kept" / "a" / "b" / "new")
    with pytest.raises(KeyboardInterrupt), files.whole_folder(tmp_path / "kept" / "c" / "d" / "out"):
        raise KeyboardInterrupt
    monkeypatch.setattr(os, "fsync", failing(os.fsync, 1, OSError(28, "No space left on device")))
    with pytest.raises(EdgenetError, match="No space left on device"):
        files.write_whole(tmp_path / "kept" / "e" / "file", b"new")
    assert tree(tmp_path) == {"kept": None}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(16, "Device or resource busy")])
@pytest.mark.parametrize("on", [1, 2])
def test_whole_folder_whose_exchange_fails_leaves_the_old_one(old, monkeypatch, on, error):
    # Two renames exchange the folders: the old one steps aside, the new one comes. Either may be refused.
    monkeypatch.setattr(os, "rename", failing(os.rename, on, error))
    with (
        pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else EdgenetError),
        files.whole_folder(old) as fresh,
    ):
        (fresh / "new.txt").write_bytes(b"new")
    assert tree(old.parent) == OLD


def test_whole_folder_below_a_file(tmp_path):
    (tmp_path / "file").write_bytes(b"in the way")
    with pytest.raises(EdgenetError, match=IN_THE_WAY), files.whole_folder(tmp_path / "file" / "out"):
        pytest.fail("the work began")
    assert tree(tmp_path) == {"file": b"in the way"}


# read


def test_read_up_to_a_limit(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    assert files.read(tmp_path / "file", 5) == b"12345"
    with pytest.raises(EdgenetError, match=r"file: larger than 0 MB, which no such file is; name another$"):
        files.read(tmp_path / "file", 4)
    for path, error in ((tmp_path / "nowhere", FileNotFoundError), (tmp_path, IsADirectoryError)):
        with pytest.raises(error):
            files.read(path, 5)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes that have a name")
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_has_no_end_is_not_read(tmp_path, kind):
    path = tmp_path / "file"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(EdgenetError, match=r"file: not a regular file; name another$"):
        files.read(path, 5)


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
