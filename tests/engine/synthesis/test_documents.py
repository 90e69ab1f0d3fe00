"""Documents of the user: read, cut, and cited by where they stand."""

from __future__ import annotations

import builtins
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from engine.errors import ConfigError
from engine.synthesis.documents import find_documents, read_passages
from engine.synthesis.web_page import text_of


def pdf(path: Path, pages: list[str]) -> Path:
    """Write a PDF with one line of text on each page."""
    from pypdf import PdfWriter
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

    writer = PdfWriter()
    for text in pages:
        page = writer.add_blank_page(width=600, height=200)
        font = DictionaryObject(
            {
                NameObject("/Type"): NameObject("/Font"),
                NameObject("/Subtype"): NameObject("/Type1"),
                NameObject("/BaseFont"): NameObject("/Helvetica"),
            }
        )
        fonts = DictionaryObject({NameObject("/F1"): writer._add_object(font)})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        stream = DecodedStreamObject()
        stream.set_data(f"BT /F1 12 Tf 20 100 Td ({text}) Tj ET".encode())
        page[NameObject("/Contents")] = writer._add_object(stream)
    writer.write(path)
    return path


def sources(path: Path, *, max_chars: int = 100, overlap: int = 0) -> list[tuple[str, str]]:
    return [(p.source, p.text) for p in read_passages(path, max_chars=max_chars, overlap=overlap)]


def test_text_is_cut_between_lines_and_cites_them(tmp_path: Path) -> None:
    """A passage holds whole lines while they fit, and says which."""
    path = tmp_path / "notes.md"
    path.write_bytes(b"\xef\xbb\xbf# Spam\r\n\r\nLinks are telling.\r\n" + b"Offers too. " * 8 + b"\r\nThe end.\r\n")
    found = sources(path)
    assert found[0] == ("notes.md, lines 1-3", "# Spam\nLinks are telling.")
    assert found[1][0] == "notes.md, line 4"
    assert found[-1][0].endswith("5")
    assert all(len(text) <= 100 for _, text in found)


def test_neighbours_overlap(tmp_path: Path) -> None:
    """A sentence at a cut stands whole in one of the two."""
    path = tmp_path / "long.txt"
    words = [f"word{i:03d}" for i in range(200)]
    path.write_text(" ".join(words))
    found = [text.split() for _, text in sources(path, max_chars=200, overlap=80)]
    assert [word for text in found for word in text if word] != words
    assert all(set(a[-3:]) & set(b) for a, b in pairwise(found))
    assert list(dict.fromkeys(word for text in found for word in text)) == words


def test_a_text_without_blanks_is_cut_all_the_same(tmp_path: Path) -> None:
    """Nothing is lost, and no passage is too long."""
    path = tmp_path / "dense.txt"
    path.write_text("肺癌" * 300)
    texts = [text for _, text in sources(path)]
    assert max(map(len, texts)) <= 100
    assert "".join(texts) == "肺癌" * 300


def test_a_table_is_read_by_row(tmp_path: Path) -> None:
    """Each value stands with its column's name; the header is no row."""
    path = tmp_path / "terms.csv"
    path.write_text('term,meaning\nphish,"asks for\na password"\nham,\n')
    assert sources(path, max_chars=100) == [
        ("terms.csv, rows 1-2", "term: phish; meaning: asks for a password\nterm: ham")
    ]


def test_a_web_page_is_what_a_reader_sees(tmp_path: Path) -> None:
    """Scripts, styles, comments and hidden parts are dropped; lines are those of the file."""
    path = tmp_path / "page.html"
    path.write_text(
        "<html><head><title>Guide</title><script>x = '<p>SECRET</p>';</script><style>p{SECRET}</style></head>\n"
        "<body><!-- SECRET --><p>Links &amp; offers<br>are telling</p>\n"
        '<div hidden><div>SECRET</div>SECRET</div><span style="display: none">SECRET</span>\n'
        "<table><tr><td>a</td><td>b</td></tr></table><noscript>SECRET</noscript>\n"
        "<p>Seen</p></body></html>"
    )
    ((source, text),) = sources(path)
    assert text == "Guide\nLinks & offers\nare telling\na b\nSeen"
    assert source == "page.html, lines 1-5"


def test_a_page_that_leaves_tags_open_is_read_to_its_end() -> None:
    """Real pages do; what follows is not lost."""
    assert [text for _, text in text_of("<p hidden>a<p>b<li>c<div>d<script>e")] == ["a", "b", "c", "d"]


def test_a_page_is_read_in_the_encoding_that_it_states(tmp_path: Path) -> None:
    """Old pages are not UTF-8 and say so."""
    path = tmp_path / "old.htm"
    path.write_bytes('<meta http-equiv="x" content="text/html; charset=iso-8859-1"><p>Crème</p>'.encode("latin-1"))
    assert sources(path)[0][1] == "Crème"


def test_a_pdf_is_cited_by_page(tmp_path: Path) -> None:
    """Each passage names its pages."""
    path = pdf(tmp_path / "guide.pdf", ["Links are telling " * 4, "Offers are telling " * 4])
    found = sources(path)
    assert [source for source, _ in found] == ["guide.pdf, page 1", "guide.pdf, page 2"]
    assert "Offers" in found[1][1]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.pdf", b"no PDF", "a.pdf: cannot be read as PDF"),
        ("a.txt", b"fine\nbad \xff", "a.txt, line 2: not utf-8"),
        ("a.txt", b" \n ", "there is no text in it"),
        ("a.csv", b'a,b\n"open', "a.csv, line 2"),
        ("a.html", b"<meta charset=nonsense><p>x", "nonsense"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    """The error has the file, and the line where there is one."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_passages(path, max_chars=100, overlap=0)


def test_a_damaged_page_is_named(tmp_path: Path) -> None:
    """The page that breaks is told, not skipped."""
    from pypdf import PdfReader, PdfWriter
    from pypdf.generic import NameObject

    path = pdf(tmp_path / "broken.pdf", ["one", "two"])
    reader = PdfReader(path)
    writer = PdfWriter(clone_from=reader)
    writer.pages[1]["/Contents"].get_object()[NameObject("/Filter")] = NameObject("/Unheard")
    writer.write(path)
    with pytest.raises(ConfigError, match=r"broken\.pdf, page 2: cannot be read"):
        read_passages(path, max_chars=100, overlap=0)


def test_an_empty_pdf_asks_for_text_recognition(tmp_path: Path) -> None:
    """Scans hold pictures alone."""
    with pytest.raises(ConfigError, match="text recognition"):
        read_passages(pdf(tmp_path / "scan.pdf", [""]), max_chars=100, overlap=0)


def test_without_the_extra_a_pdf_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the extra and another way."""
    real = builtins.__import__

    def without(name: str, *args: Any, **rest: Any) -> Any:
        if name.startswith("pypdf"):
            raise ImportError(name)
        return real(name, *args, **rest)

    path = pdf(tmp_path / "a.pdf", ["x"])
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"alchemist-labeling\[rag\]"):
        read_passages(path, max_chars=100, overlap=0)


def test_a_folder_stands_for_its_documents(tmp_path: Path) -> None:
    """By name, other files left aside; what is missing or of another kind is an error."""
    for name in ("b.md", "a.txt", "c.png"):
        (tmp_path / name).write_text("x")
    assert find_documents([str(tmp_path), str(tmp_path / "b.md")]) == [tmp_path / "a.txt", tmp_path / "b.md"]
    for path, message in ((tmp_path / "c.png", "this kind"), (tmp_path / "d.md", "no such document")):
        with pytest.raises(ConfigError, match=message):
            find_documents([str(path)])
