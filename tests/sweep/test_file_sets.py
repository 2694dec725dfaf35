"""Files and folders that travel: their names, their archives, and what is refused on arrival."""

import errno
import io
import tarfile
from pathlib import Path

import pytest

from edgenet import files
from edgenet.errors import EdgenetError
from edgenet.sweep import file_sets


def make(folder: Path, contents: dict[str, bytes]) -> Path:
    for name, data in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


CONTENTS = {"a.txt": b"1", "b/c.txt": b"2", "b/ä.txt": b"", "a/b": b"3"}


def test_a_digest_is_of_paths_and_contents(tmp_path):
    first = file_sets.digest(make(tmp_path / "one", CONTENTS))
    assert first == file_sets.digest(make(tmp_path / "two", dict(reversed(CONTENTS.items()))))
    others = [
        {**CONTENTS, "a.txt": b"2"},
        {**CONTENTS, "new": b""},
        {("moved" if name == "a.txt" else name): data for name, data in CONTENTS.items()},
    ]
    found = {file_sets.digest(make(tmp_path / f"o{number}", other)) for number, other in enumerate(others)}
    assert len(found | {first}) == 4
    assert file_sets.digest(tmp_path / "one" / "a.txt") == files.sha256(tmp_path / "one" / "a.txt")


def test_what_has_no_digest(tmp_path):
    with pytest.raises(EdgenetError, match="missing: no such file"):
        file_sets.digest(tmp_path / "missing")


def test_a_folder_travels(tmp_path):
    folder = make(tmp_path / "one", CONTENTS)
    archives = [tmp_path / "1.tar", tmp_path / "2.tar"]
    for archive in archives:
        file_sets.pack(folder, archive)
        (folder / "a.txt").touch()
    assert archives[0].read_bytes() == archives[1].read_bytes()
    file_sets.unpack(archives[0], tmp_path / "copy")
    file_sets.check(tmp_path / "copy", file_sets.digest(folder))
    (tmp_path / "copy" / "a.txt").write_bytes(b"9")
    with pytest.raises(
        EdgenetError, match=r"^what has arrived is not what was sent; it was damaged or changed on its way$"
    ):
        file_sets.check(tmp_path / "copy", file_sets.digest(folder))


def archive(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w") as file:
        for member, data in members:
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
    return path


def link(name: str, kind: bytes, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ([(tarfile.TarInfo("../out"), b"x")], "leads out"),
        ([(tarfile.TarInfo("/out"), b"x")], "leads out"),
        ([(tarfile.TarInfo("a/../../out"), b"x")], "leads out"),
        ([(link("a", tarfile.SYMTYPE, "/"), b"")], "only regular files may travel"),
        ([(link("a", tarfile.LNKTYPE, "b"), b"")], "only regular files may travel"),
        ([(link("a", tarfile.FIFOTYPE, ""), b"")], "only regular files may travel"),
        ([(tarfile.TarInfo("a"), b"x"), (tarfile.TarInfo("a"), b"y")], "twice"),
    ],
)
def test_what_leads_elsewhere_is_refused(tmp_path, members, error):
    with pytest.raises(EdgenetError, match=error):
        file_sets.unpack(archive(tmp_path / "a.tar", *members), tmp_path / "deep" / "copy")
    assert not (tmp_path / "out").exists() and not (tmp_path / "deep" / "out").exists()


def test_a_damaged_archive(tmp_path):
    file_sets.pack(make(tmp_path / "one", {"a": bytes(100_000)}), tmp_path / "a.tar")
    (tmp_path / "a.tar").write_bytes((tmp_path / "a.tar").read_bytes()[:50_000])
    with pytest.raises(EdgenetError, match=r"^an archive that has arrived is damaged"):
        file_sets.unpack(tmp_path / "a.tar", tmp_path / "copy")


def test_a_full_disk_is_explained(tmp_path):
    full = file_sets.explain(OSError(errno.ENOSPC, "No space left on device"), tmp_path)
    assert full == f"no space is left in {tmp_path}; delete something there, and run the same command again"
    assert "cannot be written to (Permission denied)" in file_sets.explain(OSError(13, "Permission denied"), tmp_path)
