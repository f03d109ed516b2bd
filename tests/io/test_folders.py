"""Images are found wherever a folder has them, and what is left out is named."""

import io
import os
import shutil
import unicodedata

import pytest
from PIL import Image

from neuronym import ConceptsError, FileError, open_concepts
from neuronym.io import Images, from_imagefolder, image_files


def photo(path, kind="JPEG", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    made = io.BytesIO()  # for Pillow would choose the format by the name
    Image.new("RGB", (8, 8), (9, 60, 120)).save(made, kind, **options)
    path.write_bytes(made.getvalue())


@pytest.fixture
def root(tmp_path):
    for name in ("cat/0.jpg", "dog/0.jpg"):
        photo(tmp_path / "photos" / name)
    return tmp_path / "photos"


PLAIN = ["cat/0.jpg", "dog/0.jpg"]


def said(root, function=image_files):
    """What is left out of a folder, without its name, and what the function returned."""
    with pytest.warns(UserWarning, match="left out of") as raised:
        found = function(root)
    assert len(raised) == 1
    return str(raised[0].message).removeprefix(f"left out of {str(root)!r}: "), found


def test_linked_folders_and_files_are_read(root, tmp_path):
    (root / "cat").rename(tmp_path / "pool")
    (root / "cat").symlink_to("../pool")
    (root / "kitten").symlink_to("cat")  # a link to a link to the same folder
    (root / "dog/1.jpg").symlink_to(tmp_path / "pool/0.jpg")
    (tmp_path / "all").symlink_to(root)
    listed = ["cat/0.jpg", "dog/0.jpg", "dog/1.jpg", "kitten/0.jpg"]
    for folder in (root, tmp_path / "all", str(root)):
        assert image_files(folder) == listed
        concepts = from_imagefolder(folder)
        assert concepts.sample_ids == tuple(listed) == tuple(Images(folder, None).sample_ids)
        assert concepts.names == ("cat", "dog", "kitten")


def test_circular_links_are_not_followed(root, tmp_path):
    (tmp_path / "pool").mkdir()
    photo(tmp_path / "pool/deep/1.jpg")
    for link, target in {
        root / "cat/again": root,
        root / "dog/itself": ".",
        root / "above": tmp_path,
        root / "bird": tmp_path / "pool",
        tmp_path / "pool/deep/back": "..",
    }.items():
        link.symlink_to(target)
    left_out, found = said(root)
    assert found == ["bird/deep/1.jpg", *PLAIN]
    assert left_out == "4 circular links ('above', 'bird/deep/back', 'cat/again' and 1 more)"


def test_folders_that_link_to_each_other_are_read_once(root):
    (root / "cat/dog").symlink_to("../dog")
    (root / "dog/cat").symlink_to("../cat")
    left_out, found = said(root)
    assert found == ["cat/0.jpg", "cat/dog/0.jpg", "dog/0.jpg", "dog/cat/0.jpg"]
    assert left_out == "2 circular links ('cat/dog/cat', 'dog/cat/dog')"


def test_dangling_links_are_named(root):
    (root / "cat/gone.jpg").symlink_to("nowhere.jpg")
    (root / "bird").symlink_to("../nowhere")
    (root / "cat/me.jpg").symlink_to("me.jpg")
    left_out, found = said(root)
    assert found == PLAIN
    assert left_out == "3 dangling links ('bird', 'cat/gone.jpg', 'cat/me.jpg')"
    assert said(root, lambda folder: image_files(folder, [".jpg"])) == (left_out, PLAIN)


HIDDEN = ["._0.jpg", ".DS_Store", "Thumbs.db", "desktop.ini"]
SYSTEM = [
    "__MACOSX", ".ipynb_checkpoints", ".Trash-1000", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"
]  # fmt: skip


def test_hidden_files_and_folders_are_left_out(root):
    for name in HIDDEN:
        photo(root / "cat" / name)
    for name in SYSTEM:
        photo(root / name / "deep/0.jpg")
    left_out, found = said(root)
    assert found == PLAIN
    assert left_out == (
        "4 hidden files ('cat/.DS_Store', 'cat/._0.jpg', 'cat/Thumbs.db' and 1 more), "
        "7 hidden folders ('$RECYCLE.BIN', '.Trash-1000', '.ipynb_checkpoints' and 4 more)"
    )
    assert said(root, from_imagefolder)[1].names == ("cat", "dog")


def test_a_folder_below_hidden_ones_is_read(root, tmp_path):
    (tmp_path / ".cache").mkdir()
    root = root.rename(tmp_path / ".cache/.photos")
    assert image_files(root) == PLAIN
    (tmp_path / "shown").mkdir()
    (tmp_path / "shown/cat").symlink_to(root / "cat")
    assert image_files(tmp_path / "shown") == ["cat/0.jpg"]


NAMES = {
    "jfif.jfif": "JPEG", "spaced.JPG_": "JPEG", "none": "JPEG", "copy.jpg.1": "JPEG", "upper.JPEG": "JPEG",
    "a.apng": "PNG", "b": "GIF", "c.dib": "BMP", "d.TIFF_": "TIFF", "e.pgm": "PPM", "f.webp2": "WEBP",
    "g.jp2": "JPEG2000", "h.ico": "ICO", "i.qoi": "QOI", "j.dds": "DDS", "k.avif": "AVIF", "l.mpo": "MPO",
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_an_image_counts_by_its_content(root, name):
    try:
        photo(root / "cat" / name, NAMES[name])
    except (KeyError, OSError):
        pytest.skip("this Pillow does not write the format")
    assert image_files(root) == sorted([*PLAIN, f"cat/{name}"])
    assert Images(root, None).image(sorted([*PLAIN, f"cat/{name}"]).index(f"cat/{name}")).size == (8, 8)
    assert image_files(root, [".jpg"]) == PLAIN


@pytest.mark.parametrize(
    "start",
    [
        b"II+\0\x08\0\0\0", b"MM\0*", b"P1\n# made by hand\n2 2\n0 1 1 0", b"P4 1 1\n\0", b"Pf\n2 2\n-1.0\n",
        b"P7\nWIDTH 2\n", b"\0\0\0\x1cftypheic\0\0\0\0mif1heic", b"8BPS\0\x01", b"\xff\x4f\xff\x51",
    ],
)  # fmt: skip
def test_other_formats_count_by_their_first_bytes(root, start):
    (root / "cat/1").write_bytes(start)
    assert image_files(root) == ["cat/0.jpg", "cat/1", "dog/0.jpg"]


def test_what_is_no_image_is_counted_and_named(root):
    (root / "labels.csv").write_text("BMW,P1 is the first\n")
    (root / "cat/bmw").write_bytes(b"BMW makes cars, and this is a text of some length")
    (root / "cat/p1.txt").write_text("P1 is the first of 2 parts\n")
    (root / "cat/empty").write_bytes(b"")
    (root / "cat/0.nef").write_bytes(b"II*\0 of a camera, of which Pillow would read a thumbnail")
    left_out, found = said(root)
    assert found == PLAIN
    assert left_out == (
        "4 non-image files ('cat/bmw', 'cat/empty', 'cat/p1.txt' and 1 more), 1 unsupported image ('cat/0.nef')"
    )
    assert image_files(root, [".jpg"]) == PLAIN  # what was not asked for is not left out
    assert image_files(root, (".CSV",)) == ["labels.csv"]


def test_broken_files_with_an_ending_of_images_stay(root):
    (root / "cat/empty.jpg").write_bytes(b"")
    (root / "cat/page.PNG").write_text("<html>")
    assert image_files(root) == ["cat/0.jpg", "cat/empty.jpg", "cat/page.PNG", "dog/0.jpg"]
    with pytest.raises(FileError, match=r"cannot read the image '.*empty.jpg'"):
        Images(root, None).image(1)


def test_special_files_are_not_opened(root):
    os.mkfifo(root / "cat/pipe")  # reading it would wait for ever
    os.mkfifo(root / "cat/pipe.jpg")
    assert said(root) == ("2 special files ('cat/pipe', 'cat/pipe.jpg')", PLAIN)


def test_what_may_not_be_read_is_named(root, monkeypatch):
    photo(root / "bird/deep/0.jpg")
    (root / "cat/secret").write_bytes(b"")
    scan = os.scandir

    def scandir(path):
        if str(path).endswith(("bird", "bird/")):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    def refuse(path, *more, **options):
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied")
        return io.open(path, *more, **options)  # noqa: UP020

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr("neuronym.io.sources.folders.open", refuse, raising=False)
    assert said(root) == ("1 unreadable file ('cat/secret'), 1 unreadable folder ('bird')", PLAIN)
    assert said(root, from_imagefolder)[0].count("bird") == 1
    with pytest.raises(FileError, match=r"cannot read images from .*: Permission denied"):
        image_files(root / "bird")


def test_classes_without_images_are_named(root):
    (root / "bird").mkdir()
    photo(root / "fish/.hidden.jpg")
    (root / "fish/deep").mkdir()
    photo(root / "loose.jpg")
    left_out, concepts = said(root, from_imagefolder)
    assert concepts.names == ("cat", "dog")
    assert left_out == (
        "2 empty class folders ('bird', 'fish'), 1 hidden file ('fish/.hidden.jpg'), 1 unclassified image ('loose.jpg')"
    )
    shutil.rmtree(root / "cat")
    shutil.rmtree(root / "dog")
    with pytest.raises(
        ConceptsError, match=r"has no subfolders with images but 2 empty class folders \('bird', 'fish'\), 1 "
    ):
        from_imagefolder(root)


def test_nothing_is_said_of_a_folder_that_is_read_whole(root):
    assert image_files(root) == PLAIN
    assert image_files(root / "cat") == ["0.jpg"]
    (root / "cat/none").mkdir()
    assert image_files(root / "cat/none") == []


def test_names_that_differ_in_normalization_stay_two(root, tmp_path):
    for form in ("NFC", "NFD"):
        photo(root / unicodedata.normalize(form, "café") / "0.jpg")
    assert len(image_files(root)) == 4
    concepts = from_imagefolder(root, out=tmp_path / "c.parquet")
    assert concepts.n_concepts == 4
    assert concepts.counts.tolist() == [1, 1, 1, 1]
    assert open_concepts(tmp_path / "c.parquet").names == concepts.names


def test_a_name_that_is_not_utf_8_is_refused(root, tmp_path):
    shutil.copy(root / "cat/0.jpg", os.fsencode(root / "cat") + b"/\xff.jpg")
    with pytest.raises(FileError, match="not valid UTF-8: rename it"):
        Images(root, None)
    with pytest.raises(FileError, match="not valid UTF-8: rename it"):
        from_imagefolder(root, out=tmp_path / "c.parquet")


def test_files_of_usual_endings_are_not_opened(root, monkeypatch):
    monkeypatch.setattr("neuronym.io.sources.folders.open", None, raising=False)
    assert image_files(root) == PLAIN
