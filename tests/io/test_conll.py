import pytest

from neuronym import FileError, OptionError
from neuronym.io import open_tags, open_texts

NER = """\
-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O

# a comment of four

# Peter NNP B-PER
"""

UNIVERSAL = """\
# sent_id = 1
# text = Du gehst zum Arzt
1\tDu\tdu\tPRON\tPPER\t_\t2\tnsubj\t_\t_
2\tgehst\tgehen\tVERB\tVVFIN\t_\t0\troot\t_\t_
3-4\tzum\t_\t_\t_\t_\t_\t_\t_\t_
3\tzu\tzu\tADP\tAPPR\t_\t5\tcase\t_\t_
4\tdem\tder\tDET\tART\t_\t5\tdet\t_\t_
4.1\tgut\tgut\tADJ\t_\t_\t_\t_\t_\t_
5\tArzt\tArzt\tNOUN\tNN\t_\t2\tobl\t_\tSpaceAfter=No

# sent_id = 2
1\t10 000\t10000\tNUM\tCARD\t_\t0\troot\t_\t_
"""


def write(path, text, **options):
    path.write_text(text, newline="", **{"encoding": "utf-8", **options})
    return path


def test_columns_are_chosen_by_number(tmp_path):
    path = write(tmp_path / "ner.txt", NER)
    assert open_tags(path) == [[("EU", "B-ORG"), ("rejects", "O")]]
    assert open_tags(path, column=2) == open_tags(path, column="2") == [[("EU", "NNP"), ("rejects", "VBZ")]]
    assert open_tags(path, column=-2) == [[("EU", "B-NP"), ("rejects", "B-VP")]]
    for wrong in (0, 5, -5, "upos", "2.0"):
        with pytest.raises(OptionError, match="column must be a number from 1 to 4; names are for files of CoNLL-U"):
            open_tags(path, column=wrong)


def test_words_of_conll_u(tmp_path):
    path = write(tmp_path / "de.conllu", UNIVERSAL)
    tags = "PRON VERB ADP DET NOUN"
    first = list(zip(["Du", "gehst", "zu", "dem", "Arzt"], tags.split(), strict=True))
    assert (
        open_tags(path) == open_tags(path, column="UPOS") == open_tags(path, column=4) == [first, [("10 000", "NUM")]]
    )
    assert open_tags(path, column="xpos")[1] == [("10 000", "CARD")]
    assert open_texts(path) == (None, ["Du gehst zu dem Arzt", "10 000"])
    with pytest.raises(OptionError, match=r"from 1 to 10, or a name such as 'upos', 'xpos', 'feats', not 'pos'"):
        open_tags(path, column="pos")
    write(path, UNIVERSAL.replace("2\tgehst", "7\tgehst"))
    with pytest.raises(FileError, match=r"is not CoNLL-U: each word needs 10 columns, and the first must number"):
        open_tags(path)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_ends_of_lines_byte_order_marks_and_blank_lines(tmp_path, mark, end):
    text = "\n\nEU\tB-ORG\n  \nPeter\tB-PER\nsleeps\tO\n\t\n\n-DOCSTART-\tO\nend\tO"
    path = write(tmp_path / "t.conll", mark + text.replace("\n", end))
    assert open_tags(path) == [[("EU", "B-ORG")], [("Peter", "B-PER"), ("sleeps", "O")], [("end", "O")]]
    assert open_texts(path) == (None, ["EU", "Peter sleeps", "end"])


def test_words_of_any_signs(tmp_path):
    """Words that begin with #, hold other white space or a range, or are numbers."""
    spaces = "10\u00a0000 NUM\na\u2028b X\n1-2 NUM\n# SYM\n#tag NOUN\n\n#first X\n\n1 NUM\n2 NUM\n"
    assert open_tags(write(tmp_path / "t.conll", spaces)) == [
        [("10\u00a0000", "NUM"), ("a\u2028b", "X"), ("1-2", "NUM"), ("#", "SYM"), ("#tag", "NOUN")],
        [("#first", "X")],
        [("1", "NUM"), ("2", "NUM")],
    ]
    assert open_tags(write(tmp_path / "t.conll", "#\tSYM\nNew York\tPROPN\n")) == [
        [("#", "SYM"), ("New York", "PROPN")]
    ]


def test_a_comment_does_not_end_a_sentence(tmp_path):
    path = write(tmp_path / "t.conll", "a A\n# newpar\n#\nb B\n".replace("# newpar", "# a new one"))
    assert open_tags(path) == [[("a", "A"), ("b", "B")]]


def test_a_first_column_of_numbers_is_no_word(tmp_path):
    """As in the files of GermEval 2014."""
    path = write(tmp_path / "t.tsv", "#\thttp://x\t[2009]\n1\tPeter\tB-PER\tO\n2\tlebt\tO\tO\n\n1\tJa\tO\tO\n")
    assert open_tags(path, column=3) == [[("Peter", "B-PER"), ("lebt", "O")], [("Ja", "O")]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("# only\n\n-DOCSTART- O\n", "it has no lines with words"),
        ("EU\nrejects\n", "each line needs a word and its tags, separated by tabs or spaces, but the first is 'EU'"),
        ("a A\nb B\nc\nd D D\n", r"its first word has 2 columns, but 2 words \(in line 3, 4\) another number"),
    ],
)
def test_what_are_no_tags_is_refused(tmp_path, text, message):
    with pytest.raises(FileError, match=message):
        open_tags(write(tmp_path / "t.conll", text))
    write(tmp_path / "t.conll", "Zürich B-LOC", encoding="latin-1")
    with pytest.raises(FileError, match="it is not UTF-8 text"):
        open_tags(tmp_path / "t.conll")
