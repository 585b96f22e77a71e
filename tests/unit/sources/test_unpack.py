"""Archives: the file inside is read as a stream, within bounds, and its name is only a name."""

import gzip
import io
import tarfile
import zipfile

import pytest

from cityorchestra_ld.errors import SourceError
from cityorchestra_ld.model import Limits, SourceSpec
from cityorchestra_ld.sources import stage

STOPS = b"stop_id,stop_name\n0001,Gare\n"


def make_zip(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def make_tar(path, mode, **members):
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def read(path, tmp_path, limits=None, **settings):
    return stage(SourceSpec(name="stops.txt", path=path, **settings), tmp_path / "out", limits or Limits())


def refused(path, tmp_path, limits=None, **settings):
    with pytest.raises(SourceError) as caught:
        read(path, tmp_path, limits, **settings)
    assert caught.value.place.file.startswith(path.name)
    return caught.value


def test_a_member_of_a_zip_is_read(tmp_path):
    path = make_zip(tmp_path / "gtfs.zip", **{"stops.txt": STOPS, "trips.txt": b"x\n"})
    table = read(path, tmp_path, member="stops.txt")
    assert table.label == "gtfs.zip/stops.txt"
    assert table.original.read_bytes() == STOPS
    assert table.records == 1


def test_a_member_in_a_folder_of_the_zip_is_found_by_its_last_name(tmp_path):
    path = make_zip(tmp_path / "gtfs.zip", **{"export/": b"", "export/stops.txt": STOPS})
    assert read(path, tmp_path, member="stops.txt").records == 1


def test_a_missing_member_is_told_with_the_nearest(tmp_path):
    path = make_zip(tmp_path / "gtfs.zip", **{"stops.csv": STOPS, "trips.txt": b"x\n"})
    assert "stops.csv" in refused(path, tmp_path, member="stops.txt").hint.en


def test_zip_and_gzip_are_recognised_without_declaration(tmp_path):
    assert read(make_zip(tmp_path / "one", a=STOPS), tmp_path).records == 1
    (tmp_path / "two").write_bytes(gzip.compress(STOPS))
    assert read(tmp_path / "two", tmp_path).records == 1


def test_several_files_and_no_member_ask_which(tmp_path):
    path = make_zip(tmp_path / "gtfs.zip", **{"a.txt": STOPS, "b.txt": STOPS})
    assert "a.txt, b.txt" in refused(path, tmp_path).hint.en


@pytest.mark.parametrize(("compression", "mode"), [("tar", "w"), ("targz", "w:gz"), ("tarxz", "w:xz")])
def test_tar_archives_are_read(tmp_path, compression, mode):
    path = make_tar(tmp_path / "a.tar", mode, **{"x/stops.txt": STOPS, "b.txt": b"b\n"})
    table = read(path, tmp_path, compression=compression, member="x/stops.txt")
    assert table.original.read_bytes() == STOPS


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_name_that_climbs_out_is_only_a_name(tmp_path, kind):
    name = "../../../evil.csv"
    path = (
        make_zip(tmp_path / "a.zip", **{name: STOPS}) if kind == "zip" else make_tar(tmp_path / "a.zip", "w", **{name: STOPS})
    )
    table = read(path, tmp_path, compression=kind)
    assert table.path.parent == tmp_path / "out"
    assert not list(tmp_path.parent.rglob("evil.csv"))


def test_a_link_inside_a_tar_is_not_followed(tmp_path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("stops.txt")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(info)
    assert "no file 'stops.txt'" in refused(path, tmp_path, compression="tar", member="stops.txt").message.en


def zeros(tmp_path, kind, size):
    path = tmp_path / f"bomb.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("z.csv", "w") as member:
            member.write(b"0" * size)
    else:
        path.write_bytes(gzip.compress(b"0" * size))
    return path


@pytest.mark.parametrize("kind", ["zip", "gzip"])
def test_a_decompression_bomb_is_stopped_early(tmp_path, kind):
    error = refused(zeros(tmp_path, kind, 60_000_000), tmp_path, compression=kind)
    assert "bomb" in error.hint.en
    assert sum(f.stat().st_size for f in (tmp_path / "out").iterdir()) < 12_000_000


@pytest.mark.parametrize("kind", ["zip", "gzip"])
def test_the_size_limit_holds_for_what_comes_out(tmp_path, kind):
    refused(zeros(tmp_path, kind, 2_000_000), tmp_path, Limits(source_bytes=1_000_000), compression=kind)


def test_a_zip_that_lies_about_its_size_is_stopped_too(tmp_path):
    path = zeros(tmp_path, "zip", 40_000_000)
    content = path.read_bytes().replace((40_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    path.write_bytes(content)
    refused(path, tmp_path)
    assert sum(f.stat().st_size for f in (tmp_path / "out").iterdir()) < 12_000_000


@pytest.mark.parametrize("compression", ["zip", "gzip", "tar", "targz", "tarxz"])
def test_a_damaged_archive_is_told(tmp_path, compression):
    (tmp_path / "a").write_bytes(b"this is not an archive at all" * 50)
    assert "damaged" in refused(tmp_path / "a", tmp_path, compression=compression).message.en


def test_a_truncated_gzip_is_told(tmp_path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(STOPS * 1000)[:-20])
    assert "truncated" in refused(tmp_path / "a.gz", tmp_path).message.en
