"""Files that the database writes: whole whatever follows them, put together in full, let go of when they are long."""

from __future__ import annotations

import itertools
import os
import time

import pytest

from cityorchestra_ld.mapping import pieces
from cityorchestra_ld.mapping.pieces import followed, join, line_ends


def test_a_file_that_is_followed_is_whole_afterwards(tmp_path):
    path = tmp_path / "piece"
    with followed(path), path.open("wb", buffering=0) as file:
        for number in range(20):
            file.write(b"%d\n" % number)
            time.sleep(0.002)
    assert path.read_bytes() == b"".join(b"%d\n" % number for number in range(20))
    assert line_ends(path) == 20


def test_an_error_and_a_file_that_is_never_made_end_the_following(tmp_path):
    with pytest.raises(ValueError, match="said"), followed(tmp_path / "none"):
        raise ValueError("said")
    with followed(tmp_path / "none"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_start_of_a_long_file_leaves_memory_while_it_is_written(tmp_path, monkeypatch):
    asked: list[tuple[int, int]] = []

    def advise(descriptor: int, start: int, length: int, advice: int) -> None:
        assert advice == os.POSIX_FADV_DONTNEED
        asked.append((start, start + length))

    monkeypatch.setattr(os, "posix_fadvise", advise)
    for name, value in {"_WHOLE": 1000, "_STEP": 100, "_LATER": 500, "_SELDOM": 0.001}.items():
        monkeypatch.setattr(pieces, name, value)
    path = tmp_path / "piece"
    with followed(path), path.open("wb", buffering=0) as file:
        for _ in range(30):
            file.write(b"x" * 100)
        written = 30
        while len(asked) < 10 and written < 5000:
            file.write(b"x" * 100)
            written += 1
            time.sleep(0.002)
    assert path.stat().st_size == written * 100
    starts, ends = zip(*asked, strict=True)
    assert min(ends) > 900
    assert max(ends) <= (written - 1) * 100
    assert min(starts) == 0 < max(starts)  # what is on the disk is not asked for again
    assert all(later[0] <= before[1] for before, later in itertools.pairwise(asked))  # and nothing is left out


def test_a_short_file_stays_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "posix_fadvise", lambda *_: pytest.fail("asked to let go"))
    path = tmp_path / "piece"
    with followed(path):
        path.write_bytes(b"x" * 100_000)
        time.sleep(0.08)
    assert path.stat().st_size == 100_000


def test_pieces_are_put_together_in_full(tmp_path):
    files = [tmp_path / name for name in ("one", "two", "missing", "three")]
    for path, content in zip((files[0], files[1], files[3]), (b"a\n", b"bb\nbb\n", b""), strict=True):
        path.write_bytes(content)
    join(files, tmp_path / "all")
    assert sorted((tmp_path / "all").read_bytes().split()) == [b"a", b"bb", b"bb"]
    join([tmp_path / "missing"], tmp_path / "all")
    assert (tmp_path / "all").read_bytes() == b""
