import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuronym import ConceptsError, FileError, Hierarchy, NeuronymError

CHAIN = """
import resource, sys
from neuronym.data.hierarchy import Hierarchy
resource.setrlimit(resource.RLIMIT_AS, (2 * 2**30, 2 * 2**30))
chain = Hierarchy((str(i), str(i + 1)) for i in range(50_000))
print(len(chain.ancestors("0")), len(chain.ancestors("49999")))
"""


def test_ancestors_are_all_names_above_in_alphabetical_order():
    diamond = Hierarchy([("pug", "pet"), ("pug", "dog"), ("dog", "animal"), ("pet", "animal"), ("animal", "thing")])
    assert diamond.ancestors("pug") == ("animal", "dog", "pet", "thing")
    assert diamond.ancestors("dog") == diamond.ancestors("pet") == ("animal", "thing")
    assert diamond.ancestors("thing") == ()
    assert diamond.ancestors("nothing") == ()
    assert diamond.parents["pug"] == ("pet", "dog")
    assert Hierarchy([]).ancestors("pug") == ()


def test_an_edge_given_twice_counts_once():
    assert Hierarchy([("a", "b"), ("a", "c"), ("a", "b")]).parents == {"a": ("b", "c")}


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(lambda e: e[0] < e[1])), st.randoms())
def test_ancestors_agree_with_a_plain_walk_whatever_the_order_of_edges(edges, random):
    random.shuffle(edges)
    hierarchy = Hierarchy((str(a), str(b)) for a, b in edges)
    for name in range(10):
        above, fresh = set(), {name}
        while fresh:
            fresh = {b for a, b in edges if a in fresh} - above
            above |= fresh
        assert hierarchy.ancestors(str(name)) == tuple(sorted(map(str, above)))


def test_a_chain_longer_than_the_recursion_limit():
    length = 3 * sys.getrecursionlimit()
    for places in [range(length), range(length - 1, -1, -1)]:
        chain = Hierarchy((str(i), str(i + 1)) for i in places)
        assert len(chain.ancestors("0")) == length
        assert chain.ancestors(str(length - 1)) == (str(length),)


def test_a_chain_of_50_000_fits_in_two_gigabytes():
    run = subprocess.run([sys.executable, "-c", CHAIN], capture_output=True, text=True, check=False)
    assert run.stderr == ""
    assert run.stdout == "50000 1\n"


@pytest.mark.parametrize(
    ("edges", "circle"),
    [
        ([("a", "a")], "a → a"),
        ([("a", "b"), ("b", "a")], "a → b → a"),
        ([("x", "a"), ("a", "b"), ("b", "c"), ("c", "a"), ("b", "top")], "a → b → c → a"),
        ([("x", "y"), ("x", "a"), ("a", "top"), ("a", "b"), ("b", "a")], "a → b → a"),
    ],
)
def test_a_circle_is_named(edges, circle):
    with pytest.raises(ConceptsError, match=f"^the hierarchy has a cycle: {circle}: remove one of its edges$"):
        Hierarchy(edges)


@pytest.mark.parametrize("edge", [("a",), "ab", ("a", "b", "c")])
def test_an_edge_is_a_pair(edge):
    with pytest.raises(ConceptsError, match="an edge of a hierarchy must be a pair of a child and a parent"):
        Hierarchy([edge])


def test_a_table_is_read(tmp_path):
    path = tmp_path / "edges.csv"
    path.write_text('child,parent\npug,dog\n"a, ""b""\nc",dog\ndog,Tier→\n', encoding="utf-8")
    for given_ in [path, str(path)]:
        hierarchy = Hierarchy.from_csv(given_)
        assert hierarchy.ancestors("pug") == hierarchy.ancestors('a, "b"\nc') == ("Tier→", "dog")
    path.write_bytes(b"child,parent\r\npug,dog\r\n")
    assert Hierarchy.from_csv(path).parents == {"pug": ("dog",)}
    path.write_text("child,parent\n")
    assert Hierarchy.from_csv(path).parents == {}


def test_every_name_of_a_table_is_known(tmp_path):
    (tmp_path / "edges.csv").write_text("child,parent\npug,dog\ndog,\ncup,\n")
    hierarchy = Hierarchy.from_csv(tmp_path / "edges.csv")
    assert all(name in hierarchy for name in ("pug", "dog", "cup"))
    assert "" not in hierarchy
    assert "n00001740" in Hierarchy.imagenet()
    assert "Pug" not in hierarchy


def test_similar_names_are_found():
    wordnet = Hierarchy.imagenet()
    found = wordnet.similar(
        ["Golden-Retriever", "crane", "02099601", "n02099601_dog", " N02099601", "tench, Tinca", "?"]
    )
    assert found == {
        "Golden-Retriever": ["n02099601"],
        "crane": ["n02012849", "n03126707"],
        "02099601": ["n02099601"],
        "n02099601_dog": ["n02099601"],
        " N02099601": ["n02099601"],
        "tench, Tinca": ["n01440764"],
    }


def test_a_table_that_starts_with_a_byte_order_mark_is_read(tmp_path):
    path = tmp_path / "edges.csv"
    path.write_text("child,parent\npug,dog\n", encoding="utf-8-sig")
    assert Hierarchy.from_csv(path).ancestors("pug") == ("dog",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"parent,child\na,b\n", "must be child,parent, not 'parent,child'"),
        (b"pug,dog\n", "must be child,parent, not 'pug,dog'"),
        (b"child,parent,note\n", "must be child,parent, not 'child,parent,note'"),
        (b"child,parent\na,b\na\na,b,c\n", "must have two columns: check lines 3, 4"),
        (b"child,parent\n" + b"a\n" * 9, "check lines 2, 3, 4 and 6 more"),
        (b"child,parent\n\na,b\n", "check line 2"),
        ("child,parent\nkäse,food\n".encode("latin-1"), "cannot read a hierarchy"),
        (b"child,parent\n" + b"a" * 200_000 + b",b\n", "cannot read a hierarchy"),
    ],
)
def test_a_table_that_cannot_be_read(tmp_path, content, message):
    path = tmp_path / "edges.csv"
    path.write_bytes(content)
    with pytest.raises(FileError, match=re.escape(message)) as caught:
        Hierarchy.from_csv(path)
    assert str(path) in str(caught.value)


def test_a_table_that_is_not_there_or_is_a_folder(tmp_path):
    with pytest.raises(FileError, match=r"cannot read a hierarchy: there is no file .*gone\.csv"):
        Hierarchy.from_csv(tmp_path / "gone.csv")
    with pytest.raises(FileError, match="cannot read a hierarchy"):
        Hierarchy.from_csv(tmp_path)


def test_a_circle_in_a_table_is_named(tmp_path):
    path = tmp_path / "edges.csv"
    path.write_text("child,parent\na,b\nb,a\n")
    with pytest.raises(NeuronymError, match="a → b → a"):
        Hierarchy.from_csv(path)


def test_wordnet_above_imagenet_comes_with_the_package():
    wordnet = Hierarchy.imagenet()
    assert len(wordnet.names) == 1860
    assert wordnet.names["n02883344"] == "box"
    assert {"n00001740", "n02084071"} <= set(wordnet.ancestors("n02110958"))  # a pug is a dog and an entity
    cranes = wordnet.readable(["n02012849", "n03126707", "n02110958"])
    assert list(cranes.values()) == ["crane (wading_bird)", "crane (lifting_device)", "pug"]


def test_readable_names_are_each_given_once():
    names = {"a": "x", "b": "x", "c": "x", "d": "x", "p": "up"}
    above = Hierarchy([("a", "p"), ("b", "p"), ("c", "other")], names)
    assert above.readable("abcde") == {"a": "x (a)", "b": "x (b)", "c": "x (other)", "d": "x", "e": "e"}


NOUNS = """  1 This is the licence.
00001740 03 n 01 entity 0 001 ~ 00001930 n 0000 | what is
00001930 03 n 02 physical_entity 0 thing 0 002 @ 00001740 n 0000 ~ 00002684 n 0000 | with | bars
09411430 15 n 01 Elbe 0 002 @i 00001930 n 0000 #p 00001740 n 0000 | a river
"""


def test_nouns_of_wordnet_are_read(tmp_path):
    (tmp_path / "data.noun").write_text(NOUNS)
    found = Hierarchy.from_wordnet(tmp_path)
    assert found.names == {"n00001740": "entity", "n00001930": "physical_entity", "n09411430": "Elbe"}
    assert found.parents == {"n00001930": ("n00001740",), "n09411430": ("n00001930",)}


def test_what_is_no_wordnet_is_refused(tmp_path):
    with pytest.raises(FileError, match="cannot read WordNet: there is no file"):
        Hierarchy.from_wordnet(tmp_path)
    (tmp_path / "data.noun").write_text("hello world\n")
    with pytest.raises(FileError, match=r"is not a WordNet data\.noun file: line 1 does not follow its format"):
        Hierarchy.from_wordnet(tmp_path)


def test_unknown_parents_of_a_table_are_named(tmp_path):
    path = tmp_path / "h.csv"
    path.write_text("child,parent\npug,dog\ndog,animal\ncat,anmal\n")
    with pytest.raises(ConceptsError, match=r"2 parents in .*h.csv without a line as a child \('animal', 'anmal'\)"):
        Hierarchy.from_csv(path)
    path.write_text("child,parent\npug,dog\ndog,animal\ncar,vehicle\nanimal,\nvehicle,\n")
    found = Hierarchy.from_csv(path)
    assert found.ancestors("pug") == ("animal", "dog")
    assert found.parents == {"pug": ("dog",), "dog": ("animal",), "car": ("vehicle",)}
    path.write_text("child,parent\npug,dgo\ndog,animal\nanimal,\n")
    with pytest.raises(ConceptsError, match=r"1 parent in .* \('dgo'\): correct the name, or, .* add the line 'dgo,'"):
        Hierarchy.from_csv(path)
    path.write_text("child,parent\n,dog\n")
    with pytest.raises(FileError, match="must name a child: check line 2"):
        Hierarchy.from_csv(path)
