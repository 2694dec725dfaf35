"""A packed bundle: the same bytes for the same bundle, and nothing hostile or damaged is unpacked."""

import bz2
import gzip
import hashlib
import io
import json
import os
import random
import shutil
import stat
import subprocess
import sys
import tarfile
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from edgenet import records
from edgenet.bundle import archive, results_files
from edgenet.bundle import bundle as bundles
from edgenet.bundle.archive import MAX_UNPACKED_BYTES, is_archive, pack, unpack, unpack_to_cache
from edgenet.errors import EdgenetError
from edgenet.records import EvaluationImage, FileHash, Manifest, VariantFile
from edgenet.records.serialization import MAX_BYTES

linux = pytest.mark.skipif(sys.platform != "linux", reason="limits the memory of a process as Linux does")

IMAGE = "evaluation/bee/a.png"
FILES = {"int8.tflite": 3_000, "labels.txt": 30, "model.keras": 700, IMAGE: 1_500}
AGAIN = "do not use it; pack the bundle again"
DAMAGED = rf"not a packed bundle, or damaged \(.+\); {AGAIN}$"


def tree(folder: Path) -> dict[str, bytes | None]:
    """All that is in a folder, hidden files too: the bytes of each file, None for folders."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")
    }


@pytest.fixture(scope="session")
def small(tiny_bundle, tmp_path_factory):
    """A bundle of a few small files, which are no models: bytes that do not compress. Not to be changed."""
    folder = tmp_path_factory.mktemp("small") / "small"
    generator = random.Random(3)
    for name, length in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(generator.randbytes(length))
    (variant,) = (variant for variant in tiny_bundle.manifest.variants if variant.name == "int8")
    manifest = replace(
        tiny_bundle.manifest,
        variants=(replace(variant, drift=None),),
        evaluation=(EvaluationImage(IMAGE, 1),),
        model="model.keras",
    )
    return bundles.seal(folder, manifest)


@pytest.fixture(scope="session")
def packed(small, tmp_path_factory) -> bytes:
    """`small`, packed."""
    path = tmp_path_factory.mktemp("packed") / "small.tar.gz"
    pack(small, path)
    return path.read_bytes()


Member = tuple[tarfile.TarInfo, bytes | None]


@pytest.fixture
def members(packed) -> list[Member]:
    """What is in it, as Python reads it, to be changed and written again."""
    with tarfile.open(fileobj=io.BytesIO(packed)) as file:
        return [(info, file.extractfile(info).read()) for info in file]


def member(name: str, data: bytes | None = None, **fields) -> Member:
    info = tarfile.TarInfo(name)
    info.size = len(data or b"")
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def tar(members: list[Member]) -> bytes:
    """A tar file; a member without contents is a header alone, whatever its size says."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as made:
        for info, data in members:
            if data is None:
                made.fileobj.write(info.tobuf(tarfile.GNU_FORMAT))
                made.offset = made.fileobj.tell()
            else:
                made.addfile(info, io.BytesIO(data))
    return file.getvalue()


def with_manifest(members: list[Member], data: bytes) -> list[Member]:
    """The members with another manifest."""
    return [member("manifest.json", data), *members[1:]]


def declaring(small, **changes) -> bytes:
    """The manifest with other fields, as somebody would who makes a bundle by hand."""
    return records.to_json(replace(small.manifest, **changes))


@pytest.fixture
def place(small, tmp_path) -> Path:
    """An earlier bundle, with results, where the new one is unpacked."""
    folder = tmp_path / "place"
    shutil.copytree(small.folder, folder)
    (folder / "labels.txt").write_bytes(b"earlier")
    (folder / "results").mkdir()
    (folder / "results" / "today.json").write_bytes(b"{}")
    return folder


@pytest.fixture
def refused(tmp_path, place):
    """Unpacks some bytes over an earlier bundle and where there is nothing. Returns the one line that refuses them.

    Nothing may be left behind, here or outside.
    """

    def refuse(data: bytes) -> str:
        path = tmp_path / "made.tar.gz"
        path.write_bytes(data)
        before = tree(tmp_path)
        with pytest.raises(EdgenetError) as caught:
            unpack(path, place)
        with pytest.raises(EdgenetError):
            unpack(path, tmp_path / "new" / "deeper")
        assert tree(tmp_path) == before
        text = str(caught.value)
        assert "\n" not in text
        return text

    return refuse


def zipped(members: list[Member]) -> bytes:
    return gzip.compress(tar(members), 1)


# pack


def test_packing_twice_gives_the_same_bytes(small, tmp_path, monkeypatch, packed):
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000.0)
    pack(small, tmp_path / "another name.tar.gz")
    assert (tmp_path / "another name.tar.gz").read_bytes() == packed


def test_a_copy_with_other_dates_modes_and_owners_gives_the_same_bytes(small, tmp_path, packed):
    copied = tmp_path / "copied"
    for name in (*sorted(small.manifest.files, reverse=True), "manifest.json"):  # in another order on the disk, too
        path = copied / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(small.file(name).read_bytes())
        os.utime(path, (10**9, 10**9 + len(name)))
        path.chmod(0o600 if len(name) % 2 else 0o755)
        if os.geteuid() == 0:
            os.chown(path, 1234, 5678)
    pack(bundles.load(copied), tmp_path / "copied.tar.gz")
    assert (tmp_path / "copied.tar.gz").read_bytes() == packed


def test_results_and_what_else_lies_in_the_folder_are_not_packed(place, small, tmp_path, packed):
    shutil.copy(small.file("labels.txt"), place / "labels.txt")
    (place / "notes.txt").write_text("of somebody")
    pack(bundles.load(place), tmp_path / "place.tar.gz")
    assert (tmp_path / "place.tar.gz").read_bytes() == packed


def test_the_manifest_comes_first_and_nothing_tells_who_packed_when(members, small):
    assert [info.name for info, _ in members] == ["manifest.json", *sorted(FILES)]
    for info, data in members:
        assert data == small.file(info.name).read_bytes()
        assert (info.mtime, info.uid, info.gid, info.uname, info.gname) == (0, 0, 0, "", "")
        assert (info.mode, info.type) == (0o644, tarfile.REGTYPE)


@pytest.mark.skipif(not shutil.which("tar"), reason="needs a tar program")
def test_a_tar_program_lists_and_unpacks_it(small, packed, tmp_path):
    (tmp_path / "small.tar.gz").write_bytes(packed)
    done = subprocess.run(["tar", "-tzf", "small.tar.gz"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["manifest.json", *sorted(FILES)]
    assert not done.stderr
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "-xzf", "../small.tar.gz"], cwd=tmp_path / "out", check=True)
    assert tree(tmp_path / "out") == tree(small.folder)


def test_others_may_read_what_was_packed(small, tmp_path):
    pack(small, tmp_path / "new" / "small.tar.gz")
    assert stat.S_IMODE((tmp_path / "new" / "small.tar.gz").stat().st_mode) == 0o644
    assert len(tree(tmp_path)) == 2


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("in the way/small.tar.gz", r"/in the way: cannot be written to \(it is a file\); choose"),
        ("a folder", r"/a folder: cannot be written to \(Is a directory\); choose"),
    ],
)
def test_packing_to_a_place_that_cannot_be_written(small, tmp_path, place, expected):
    (tmp_path / "in the way").write_text("kept")
    (tmp_path / "a folder").mkdir()
    before = tree(tmp_path)
    with pytest.raises(EdgenetError, match=expected):
        pack(small, tmp_path / place)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_packing_that_is_stopped_leaves_the_earlier_file(small, tmp_path, monkeypatch, error):
    (tmp_path / "small.tar.gz").write_bytes(b"an earlier one")

    def stop(*_):
        raise error

    monkeypatch.setattr(os, "fsync", stop)
    with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else EdgenetError):
        pack(small, tmp_path / "small.tar.gz")
    assert tree(tmp_path) == {"small.tar.gz": b"an earlier one"}


def test_packing_without_a_file_of_the_bundle_leaves_nothing(place, tmp_path):
    bundle = bundles.load(place)
    (place / "model.keras").unlink()
    before = tree(tmp_path)
    with pytest.raises(EdgenetError, match="No such file"):
        pack(bundle, tmp_path / "place.tar.gz")
    assert tree(tmp_path) == before


# unpack


def test_a_whole_bundle_comes_back_as_it_was(tiny_bundle, tmp_path):
    pack(tiny_bundle, tmp_path / "tiny.tar.gz")
    bundle = unpack(tmp_path / "tiny.tar.gz", tmp_path / "a" / "tiny")
    assert (bundle.folder, bundle.manifest) == (tmp_path / "a" / "tiny", tiny_bundle.manifest)
    assert bundles.verify(bundle) == len(tiny_bundle.manifest.files) == 58
    expected = {name: data for name, data in tree(tiny_bundle.folder).items() if not name.startswith("results")}
    assert tree(bundle.folder) == expected
    assert bundles.load(bundle.folder).manifest == tiny_bundle.manifest
    assert set(tree(tmp_path)) == {"tiny.tar.gz", "a", "a/tiny", *(f"a/tiny/{name}" for name in expected)}


def test_names_that_old_tar_has_no_room_for_come_back(small, tmp_path):
    long, other = "evaluation/" + "a" * 150 + "/" + "b" * 120 + ".png", "evaluation/Käfer, 甲虫 \U0001f41d/1 \\ 2.png"
    folder = shutil.copytree(small.folder, tmp_path / "small")
    for name in (long, other):
        (folder / name).parent.mkdir(parents=True)
        shutil.copy(small.file(IMAGE), folder / name)
    bundle = bundles.seal(
        folder, replace(small.manifest, evaluation=(EvaluationImage(long, 0), EvaluationImage(other, 1)))
    )
    assert {long, other} < set(bundle.manifest.files)
    pack(bundle, tmp_path / "small.tar.gz")
    assert bundles.verify(unpack(tmp_path / "small.tar.gz", tmp_path / "out")) == len(FILES) + 2
    assert tree(tmp_path / "out") == tree(folder)


def test_what_an_earlier_bundle_does_not_name_stays(place, small, packed, tmp_path):
    (place / "old.tflite").write_bytes(b"no longer part of it")
    (tmp_path / "small.tar.gz").write_bytes(packed)
    unpack(tmp_path / "small.tar.gz", place)
    mine = {"old.tflite": b"no longer part of it", "results": None, "results/today.json": b"{}"}
    assert tree(place) == {**tree(small.folder), **mine}
    assert set(tree(tmp_path)) == {"small.tar.gz", "place", *(f"place/{name}" for name in tree(place))}


def test_packed_again_it_is_the_same(packed, tmp_path):
    (tmp_path / "small.tar.gz").write_bytes(packed)
    pack(unpack(tmp_path / "small.tar.gz", tmp_path / "out"), tmp_path / "again.tar.gz")
    assert (tmp_path / "again.tar.gz").read_bytes() == packed


def test_another_compression_of_the_same_members_is_taken(small, members, tmp_path):
    info, data = members[-1]
    info.mtime, info.uname, info.mode = 1e9, "somebody", 0o600  # as GNU tar would write them
    (tmp_path / "small.tgz").write_bytes(zipped([*members[:-1], (info, data)]))
    assert bundles.verify(unpack(tmp_path / "small.tgz", tmp_path / "out")) == len(FILES)
    assert tree(tmp_path / "out") == tree(small.folder)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("photos", "photos: the folder has other files and no bundle; give a new folder"),
        ("a_file", "a_file: expected a folder, got a file"),
        (".", "this folder is in use; give another with out="),
        ("..", "this folder is in use; give another with out="),
    ],
)
def test_no_folder_with_other_files_is_unpacked_to(packed, tmp_path, monkeypatch, name, expected):
    (tmp_path / "here" / "photos").mkdir(parents=True)
    (tmp_path / "here" / "photos" / "holiday.jpg").write_bytes(b"a picture")
    (tmp_path / "here" / "a_file").write_bytes(b"kept")
    (tmp_path / "small.tar.gz").write_bytes(packed)
    monkeypatch.chdir(tmp_path / "here")
    before = tree(tmp_path)
    with pytest.raises(EdgenetError, match=expected):
        unpack(tmp_path / "small.tar.gz", Path(name))
    assert tree(tmp_path) == before


def test_what_is_an_archive(packed, tmp_path):
    made = {"a.tar.gz": b"text", "b.tgz": b"", "c.bin": packed, "d.tar": b"text", "e": b"", "f.tflite": b"\x1f"}
    for name, data in made.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "folder.tar.gz").mkdir()
    names = (*made, "folder.tar.gz", "nowhere.tar.gz")
    assert [name for name in names if is_archive(tmp_path / name)] == ["a.tar.gz", "b.tgz", "c.bin"]


# What is refused: members


@pytest.mark.parametrize("name", ["../evil.png", "evaluation/../../evil.png", "evaluation/../labels.txt", "/evil.png"])
@pytest.mark.parametrize("declared", [False, True], ids=["not declared", "declared"])
def test_a_path_that_leads_out(members, refused, small, tmp_path, name, declared):
    name = f"{tmp_path}{name}" if name.startswith("/") else name
    if declared:
        listed = {**small.manifest.files, name: FileHash("0" * 64, 4)}
        members = with_manifest(members, declaring(small, files=listed))
    text = refused(zipped([*members, member(name, b"evil")]))
    if declared and "manifest.json: " in text:  # refused before it is met
        assert text.endswith(f"the path {name!r} leads out of the bundle; do not use this bundle")
    else:
        assert text.endswith(f"{name!r}: the path leads out of the bundle; {AGAIN}")


KINDS = {
    "a symbolic link": {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
    "a hard link": {"type": tarfile.LNKTYPE, "linkname": "manifest.json"},
    "a character device": {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3},
    "a block device": {"type": tarfile.BLKTYPE, "devmajor": 8},
    "a pipe": {"type": tarfile.FIFOTYPE},
    "a folder": {"type": tarfile.DIRTYPE},
    "a kind that nobody knows": {"type": b"Z"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_no_file_but_another_kind_of_member(members, refused, kind):
    (known,) = [number for number, (info, _) in enumerate(members) if info.name == "labels.txt"]
    changed = [*members[:known], member("labels.txt", b"", **KINDS[kind]), *members[known + 1 :]]
    text = refused(zipped(changed))
    assert text.endswith(f"'labels.txt': only regular files are allowed; {AGAIN}")


def test_a_link_that_a_later_member_would_go_through(members, refused, tmp_path):
    (tmp_path / "outside").mkdir()
    link = member("evaluation", b"", type=tarfile.SYMTYPE, linkname=str(tmp_path / "outside"))
    assert "'evaluation': only regular files are allowed" in refused(zipped([members[0], link, *members[1:]]))


def test_a_member_that_the_manifest_does_not_name(members, refused):
    for name in ("evil.py", "results/today.json", "labels.txt ", "LABELS.TXT", ".", ""):
        text = refused(zipped([*members, member(name, b"evil")]))
        assert text.endswith(f"{name!r}: not in the manifest, or more than once in the archive; {AGAIN}"), name


@pytest.mark.parametrize("number", range(5))
def test_a_member_that_comes_twice(members, refused, number):
    name = members[number][0].name
    text = refused(zipped([*members, members[number]]))
    assert text.endswith(f"{name!r}: not in the manifest, or more than once in the archive; {AGAIN}")


def test_a_manifest_that_comes_twice_even_where_the_first_names_it(members, refused, small):
    """Else what is read later is not what the files were checked against."""
    second = declaring(small, name="another")
    listed = {**small.manifest.files, "manifest.json": FileHash("0" * 64, len(second))}
    first = with_manifest(members, declaring(small, files=listed))
    assert "manifest.json" in refused(zipped([*first, member("manifest.json", second)]))


@pytest.mark.parametrize("left_out", [1, 2, 4])
def test_members_that_are_missing(members, refused, left_out):
    text = refused(zipped(members[:-left_out]))
    name = members[-left_out][0].name
    rest = f"and {left_out - 1} more files are" if left_out > 1 else "is"
    assert text.endswith(f"made.tar.gz: {name!r} {rest} missing; {AGAIN}")


@pytest.mark.parametrize("size", [0, 29, 31, 100_000])
def test_a_member_of_another_size(members, refused, size):
    changed = [
        member("labels.txt", bytes(size)) if info.name == "labels.txt" else (info, data) for info, data in members
    ]
    text = refused(zipped(changed))
    assert text.endswith(f"'labels.txt': expected 30 bytes, got {size:,}; {AGAIN}")


def test_a_manifest_that_is_not_first(members, refused):
    text = refused(zipped([*members[1:], members[0]]))
    assert text.endswith(f"'{IMAGE}': the first file must be manifest.json; {AGAIN}")


def test_an_archive_of_nothing(refused):
    assert refused(zipped([])).endswith(f"made.tar.gz: the archive is empty; {AGAIN}")


# What is refused: manifests


def test_a_manifest_of_a_newer_format(members, refused):
    changed = json.dumps({**json.loads(members[0][1]), "format": records.Manifest.FORMAT + 1}).encode()
    text = refused(zipped(with_manifest(members, changed)))
    assert text.endswith(
        "made.tar.gz: manifest.json: this edgenet bundle file has format 8, but formats 4 to 7 can be read; "
        "use the edgenet version that wrote it, or a newer one"
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda data: data.replace(b'"batch": 1', b'"batch": 2'),
            "this edgenet bundle file was changed after it was written",
        ),
        (lambda data: data[:-20], "not an edgenet bundle file, or incomplete (not valid JSON)"),
        (lambda data: b"", "not an edgenet bundle file, or incomplete (not valid JSON)"),
        (lambda data: b"[" * 200_000, "not an edgenet bundle file"),  # deeper than Python's stack
        (lambda data: b"{}", "not an edgenet bundle file"),
        (
            lambda data: data.replace(b"edgenet bundle", b"edgenet results"),
            "not an edgenet bundle file",
        ),
    ],
    ids=["changed", "cut off", "empty", "deep", "no fields", "of results"],
)
def test_a_manifest_that_is_none(members, refused, change, expected):
    text = refused(zipped(with_manifest(members, change(members[0][1]))))
    assert f"made.tar.gz: manifest.json: {expected}" in text


@pytest.mark.parametrize("model", ["../secret.keras", "/etc/passwd", "gone.keras"])
def test_a_model_without_a_hash(members, refused, small, model):
    """Keras executes a model."""
    text = refused(zipped(with_manifest(members, declaring(small, model=model))))
    assert f"manifest.json: the file {model!r} has no hash; do not use this bundle" in text


@pytest.mark.parametrize("file", ["../secret.tflite", "/etc/passwd", "gone.tflite"])
def test_a_variant_or_a_picture_without_a_hash(members, refused, small, file):
    variant = VariantFile("int8", file, "uint8", "uint8", None)
    for changes in ({"variants": (variant,)}, {"evaluation": (EvaluationImage(file, None),)}):
        text = refused(zipped(with_manifest(members, declaring(small, **changes))))
        assert f"manifest.json: the file {file!r} has no hash; do not use this bundle" in text


def test_a_manifest_that_declares_too_much(members, refused, small):
    listed = {**small.manifest.files, "a.bin": FileHash("0" * 64, MAX_UNPACKED_BYTES), "b.bin": FileHash("0" * 64, 5)}
    total = sum(FILES.values()) + MAX_UNPACKED_BYTES + 5
    text = refused(zipped(with_manifest(members, declaring(small, files=listed))))
    assert text.endswith(f"expected at most {MAX_UNPACKED_BYTES:,} bytes to unpack, got {total:,}; {AGAIN}")


def test_no_negative_size_makes_room_for_a_large_file(members, refused, small, monkeypatch):
    monkeypatch.setattr(archive, "MAX_UNPACKED_BYTES", 100_000)
    listed = {
        "big.bin": FileHash("0" * 64, 1_000_000),
        **small.manifest.files,
        "minus.bin": FileHash("0" * 64, -1_000_000),
    }
    text = refused(zipped([*with_manifest(members, declaring(small, files=listed)), member("big.bin", bytes(10**6))]))
    # Not that `minus.bin` is missing: by then a million bytes have been written.
    assert "missing" not in text


@pytest.mark.parametrize(
    "names",
    [["a\0b"], ["twice", "twice/deeper"], ["twice/deeper", "twice"], ["n" * 300], [""], ["."], ["results/today.json"]],
    ids=["with a zero byte", "file, then folder", "folder, then file", "too long", "empty", "the folder", "results"],
)
def test_names_that_no_folder_can_hold(members, refused, small, names):
    listed = small.manifest.files | {name: FileHash("0" * 64, 4) for name in names}
    made = [member(name.replace("\0", "?"), b"evil", pax_headers={"path": name} if name else {}) for name in names]
    text = refused(zipped([*with_manifest(members, declaring(small, files=listed)), *made]))
    # The archive is wrong, not the folder to write to.
    assert "cannot be written to" not in text


def test_a_name_of_two_lines_is_no_second_line_of_an_error(members, refused, small):
    listed = {**small.manifest.files, "a\nError: b": FileHash("0" * 64, 4)}
    assert "Error: b" in refused(zipped(with_manifest(members, declaring(small, files=listed))))


# What is refused: other files, damaged files


def test_no_tar_at_all(refused, packed):
    for data in (
        b"",
        b"just some text\n" * 100,
        gzip.compress(b""),
        gzip.compress(b"just some text\n" * 1_000),
        gzip.compress(random.Random(4).randbytes(20_000)),
        bz2.compress(gzip.decompress(packed)),
        gzip.decompress(packed),
        gzip.compress(packed),
    ):
        text = refused(data)
        assert f"made.tar.gz: not a packed bundle, or damaged ({text.split('(')[1]}" in text
        assert text.endswith(f"); {AGAIN}")


def outcome(path: Path, folder: Path, small) -> str:
    """Unpack: "refused" in one line with nothing left behind, "damaged" where the hashes tell, or "whole"."""
    shutil.rmtree(folder, ignore_errors=True)
    before = set(path.parent.iterdir())
    try:
        bundle = unpack(path, folder)
    except EdgenetError as error:
        assert "\n" not in str(error)
        assert set(path.parent.iterdir()) == before
        return "refused"
    try:
        bundles.verify(bundle)
    except EdgenetError as error:
        assert "expected SHA-256" in str(error)
        return "damaged"
    assert tree(folder) == tree(small.folder)
    return "whole"


def test_a_file_that_was_cut_off(packed, tmp_path, small):
    path = tmp_path / "made.tar.gz"
    found = {}
    for length in (*range(60), *range(60, len(packed) - 60, 41), *range(len(packed) - 60, len(packed))):
        path.write_bytes(packed[:length])
        found[length] = outcome(path, tmp_path / "out", small)
    refused = [length for length, result in found.items() if result == "refused"]
    assert "damaged" not in found.values()
    # What follows the last member's contents, zeros and a checksum, is a few dozen bytes.
    assert refused[: len(found) - 60] == list(found)[: len(found) - 60]


def test_a_plain_tar_that_was_cut_off_and_compressed_again(members, refused):
    whole = tar(members)
    end = whole.rindex(members[-1][1]) + len(members[-1][1])
    for length in (1, 511, 512, 513, 700, end // 2, end - 600, end - 1):
        text = refused(gzip.compress(whole[:length], 1))
        assert text.endswith(AGAIN)


@pytest.mark.parametrize("layer", ["compressed", "plain"])
def test_random_bytes_changed(packed, tmp_path, small, layer):
    """Each either verifies, with the same contents, or is refused."""
    path, found = tmp_path / "made.tar.gz", []
    for seed in range(50):
        generator = random.Random(seed)
        data = bytearray(packed if layer == "compressed" else gzip.decompress(packed))
        for _ in range(1 + seed % 3):
            data[generator.randrange(len(data))] = generator.randrange(256)
        path.write_bytes(bytes(data) if layer == "compressed" else gzip.compress(bytes(data), 1))
        found.append(outcome(path, tmp_path / "out", small))
    assert len(set(found)) > 1  # some change what counts, and some do not


def header(kind: bytes, payload: bytes) -> bytes:
    """An extension header of tar: what it says of the next member."""
    info = member("extension", payload, type=kind)[0]
    return info.tobuf(tarfile.GNU_FORMAT) + payload + bytes(-len(payload) % 512)


# What GNU and POSIX tar write ahead of a member; none of it in what `pack` writes for short names.
EXTENSIONS = {
    "a size that is no number": header(b"x", b"25 GNU.sparse.size=abcde\n"),
    "a sparse file without a map": header(b"x", b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"),
    "a charset that is no text": header(b"x", b"22 hdrcharset=\xff\xfe\xfd\xfc\xfb\xfa\xf9\n"),
    "a length of 5,000 digits": header(b"x", b"1" * 5_000 + b" path=a\n"),
    "a length of nothing": header(b"x", b"0 path=a\n"),
    "2,000 long names, one after another": header(b"L", b"labels.txt\0") * 2_000,
    "2,000 extensions, one after another": header(b"x", b"17 path=labels.t\n") * 2_000,
    "a sparse map that never ends": header(b"S", b"")[:482] + b"\1" + header(b"S", b"")[483:512] + b"\1" * 512,
}


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_what_tar_writes_ahead_of_a_member_may_be_nonsense(members, packed, tmp_path, small, extension):
    first, rest = tar(members[:1]).rstrip(b"\0"), tar(members[1:])
    data = first + bytes(-len(first) % 512) + EXTENSIONS[extension] + rest
    (tmp_path / "made.tar.gz").write_bytes(gzip.compress(data, 1))
    # Python 3.13's tarfile passes over such a charset; nothing else is wrong with that archive.
    harmless = {"whole"} if extension == "a charset that is no text" else set()
    assert outcome(tmp_path / "made.tar.gz", tmp_path / "out", small) in {"refused"} | harmless


# What is refused: sizes that fill a disk, or the memory

HUGE = 10_000_000_000

# What is refused has to fit into half a gigabyte of memory and 50 MB of disk.
FRUGAL = """
import resource, sys
from pathlib import Path
from edgenet.errors import EdgenetError
from edgenet.bundle.archive import unpack
held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + 500_000_000,) * 2)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000_000,) * 2)
try:
    unpack(Path(sys.argv[1]), Path(sys.argv[2]))
except EdgenetError as error:
    print(error)
"""


def frugally(tmp_path: Path, data: bytes) -> str:
    """The one line with which a process of little memory and disk refuses some bytes, in less than 10 s."""
    (tmp_path / "made.tar.gz").write_bytes(data)
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", FRUGAL, "made.tar.gz", "out"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert time.monotonic() - begun < 10
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["made.tar.gz"]
    (line,) = done.stdout.splitlines()
    return line


def with_zeros(head: bytes, zeros: int) -> bytes:
    """Some bytes and many zeros behind them, compressed: a megabyte once, and its compressed form repeated.

    After a full flush, deflate knows nothing of what was before, so that the same bytes come out again (RFC 1951).
    """
    made = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = made.compress(head) + made.flush(zlib.Z_FULL_FLUSH)
    piece = made.compress(bytes(1_000_000)) + made.flush(zlib.Z_FULL_FLUSH)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + start + piece * (zeros // 1_000_000)


def test_the_zeros_that_the_next_tests_take_are_zeros():
    read = zlib.decompressobj(31).decompress(with_zeros(b"head", 3_000_000))
    assert read == b"head" + bytes(3_000_000)


def unended(members: list[Member]) -> bytes:
    """A tar without the blocks that end it."""
    data = tar(members).rstrip(b"\0")
    return data + bytes(-len(data) % 512)


@linux
@pytest.mark.parametrize("name", ["manifest.json", "labels.txt", "evil.bin"])
def test_a_member_of_ten_gigabytes(members, tmp_path, name):
    before = [] if name == "manifest.json" else members[:1]
    text = frugally(tmp_path, with_zeros(unended([*before, member(name, size=HUGE)]), HUGE))
    expected = {
        "manifest.json": "the first file must be manifest.json",  # of a size to speak of
        "labels.txt": f"'labels.txt': expected 30 bytes, got {HUGE:,}",
        "evil.bin": "'evil.bin': not in the manifest, or more than once in the archive",
    }
    assert expected[name] in text


@linux
def test_a_member_of_ten_gigabytes_that_the_manifest_declares(members, small, tmp_path):
    listed = {**small.manifest.files, "big.bin": FileHash("0" * 64, HUGE)}
    declared = with_manifest(members, declaring(small, files=listed))[:1]
    text = frugally(tmp_path, with_zeros(unended([*declared, member("big.bin", size=HUGE)]), HUGE))
    assert (
        f"expected at most {MAX_UNPACKED_BYTES:,} bytes to unpack, got {HUGE + sum(FILES.values()):,}; {AGAIN}" in text
    )


@linux
def test_a_manifest_a_byte_too_large(tmp_path):
    size = MAX_BYTES[Manifest] + 1
    text = frugally(tmp_path, with_zeros(unended([member("manifest.json", size=size)]), size + 2_000_000))
    assert "manifest.json" in text
    assert text.endswith(AGAIN)


@linux
@pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K"], ids=["extended", "global", "long name", "long link"])
def test_a_name_of_ten_gigabytes(members, tmp_path, kind):
    """tarfile reads what a member is called into memory, however much that is."""
    head = unended([*members[:1], member("extension", size=HUGE, type=kind)])
    assert "cannot be written to" not in frugally(tmp_path, with_zeros(head, HUGE))


@linux
def test_zeros_ahead_of_a_first_member(tmp_path):
    assert frugally(tmp_path, with_zeros(b"", HUGE)).endswith(AGAIN)


@linux
def test_zeros_behind_the_last_member_are_not_read(members, small, tmp_path):
    (tmp_path / "made.tar.gz").write_bytes(with_zeros(tar(members), HUGE))
    begun = time.monotonic()
    assert bundles.verify(unpack(tmp_path / "made.tar.gz", tmp_path / "out")) == len(FILES)
    assert time.monotonic() - begun < 5
    assert tree(tmp_path / "out") == tree(small.folder)


# The user's cache


@pytest.fixture
def cached(tmp_path, monkeypatch, packed) -> Path:
    """A packed bundle beside a folder of its name, which is somebody's, and an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    here = tmp_path / "here"
    (here / "build" / "small").mkdir(parents=True)
    (here / "build" / "small" / "mine.txt").write_text("somebody's own")
    (here / "small.tar.gz").write_bytes(packed)
    monkeypatch.chdir(here)
    return Path("small.tar.gz")


def test_a_packed_bundle_is_unpacked_into_the_cache_and_nowhere_else(cached, small, tmp_path):
    before = tree(tmp_path / "here")
    bundle = unpack_to_cache(cached)
    assert bundle.manifest == small.manifest
    assert bundle.folder.name == hashlib.sha256(cached.read_bytes()).hexdigest()[:32]
    assert bundle.folder.is_relative_to(tmp_path / "cache" / "edgenet")
    assert tree(bundle.folder) == tree(small.folder)
    assert tree(tmp_path / "here") == before


def test_it_is_unpacked_once_and_its_results_stay(cached):
    folder = unpack_to_cache(cached).folder
    results_files.write(folder, b"{}")
    stamp = (folder / "labels.txt").stat().st_mtime_ns
    assert unpack_to_cache(cached).folder == folder
    assert (folder / "labels.txt").stat().st_mtime_ns == stamp
    assert len(list((folder / "results").iterdir())) == 1


def test_many_who_unpack_it_at_once_get_it(cached, small):
    with ThreadPoolExecutor(8) as pool:
        folders = {bundle.folder for bundle in pool.map(unpack_to_cache, [cached] * 24)}
    (folder,) = folders
    assert tree(folder) == tree(small.folder)


@pytest.mark.parametrize("damage", ["changed", "gone", "no manifest"])
def test_what_was_damaged_in_the_cache_is_unpacked_again(cached, small, damage):
    folder = unpack_to_cache(cached).folder
    results_files.write(folder, b"{}")
    if damage == "changed":
        (folder / "labels.txt").write_text("other\n")
    elif damage == "gone":
        (folder / "labels.txt").unlink()
    else:
        (folder / "manifest.json").unlink()
    bundle = unpack_to_cache(cached)
    assert len(list((bundle.folder / "results").iterdir())) == 1
    found = {name: data for name, data in tree(bundle.folder).items() if not name.startswith("results")}
    assert found == tree(small.folder)


def test_without_a_cache_it_is_unpacked_into_a_temporary_folder(cached, small, tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("in the way")
    bundle = unpack_to_cache(cached)
    assert tree(bundle.folder) == tree(small.folder)
    assert not bundle.folder.is_relative_to(tmp_path / "here")


def test_verify_leaves_a_folder_of_that_name_alone(cached, run_here, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path / "here")
    before = tree(tmp_path / "here")
    done = run_here("verify", cached)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("small.tar.gz: ")
    assert tree(tmp_path / "here") == before
