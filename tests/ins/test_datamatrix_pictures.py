"""The datamatrix drawn and read back. ISO/IEC 16022; ANS, « Format datamatrix INS » v2.2.20230926, §4."""

import json
import re
import struct
import zlib
from io import BytesIO
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ins.pat_trois import pat_trois
from ins.test_datamatrix import VECTORS
from PIL import Image, ImageFilter

from fhir_ins.ins.datamatrix import Content, content_of, payload
from fhir_ins.ins.datamatrix_photograph import MOST_BYTES, MOST_PIXELS, payload_in
from fhir_ins.ins.datamatrix_picture import CAPTION, modules, png, svg
from fhir_ins.ins.malformed import Malformed


def code_of(family: str = "PAT-TROIS") -> str:
    content = content_of(pat_trois(family=family))
    assert isinstance(content, Content)
    return payload(content)


CODE = code_of()


def opened(picture: bytes) -> Image.Image:
    return Image.open(BytesIO(picture))


def saved(picture: Image.Image, kind: str = "PNG") -> bytes:
    file = BytesIO()
    picture.save(file, kind)
    return file.getvalue()


def on_page(*pictures: Image.Image, size: tuple[int, int] = (2480, 1200)) -> Image.Image:
    """The pictures side by side on a white page."""
    page = Image.new("L", size, 255)
    for number, picture in enumerate(pictures):
        page.paste(picture, (150 + 700 * number, 300))
    return page


def refused(picture: bytes) -> str:
    fault = payload_in(picture)
    assert isinstance(fault, Malformed)
    return fault.reason


def test_the_symbol_is_square_with_the_finder_pattern_of_ecc_200() -> None:
    symbol = modules(CODE)
    side = len(symbol)
    assert side % 2 == 0
    assert {len(row) for row in symbol} == {side}
    assert all(row[0] for row in symbol)  # the solid left
    assert all(symbol[-1])  # the solid bottom
    assert [row[-1] for row in symbol] == [number % 2 == 1 for number in range(side)]  # the broken right
    assert list(symbol[0]) == [number % 2 == 0 for number in range(side)]  # the broken top


@pytest.mark.parametrize("code", [CODE, code_of("A" * 100), code_of("A")])
def test_the_png_is_read_back(code: str) -> None:
    assert payload_in(png(code)) == code.encode("ascii")


def test_the_svg_draws_the_same_symbol() -> None:
    """Rasterised here from its own path, so that what a browser shows is what was encoded."""
    root = fromstring(svg(CODE))
    _, _, width, height = (int(number) for number in root.attrib["viewBox"].split())
    drawn = Image.new("L", (width, height), 255)
    path = root.findall("{http://www.w3.org/2000/svg}path")[1].attrib["d"]
    for x, y, length in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\d+z", path):
        drawn.paste(0, (int(x), int(y), int(x) + int(length), int(y) + 1))
    assert payload_in(saved(drawn.resize((width * 8, height * 8), Image.Resampling.NEAREST))) == CODE.encode()
    assert root.find("{http://www.w3.org/2000/svg}text").text == CAPTION == "INS à scanner"
    assert root.attrib["width"].endswith("mm")
    assert "279035" not in svg(CODE).decode()


def test_the_png_has_its_quiet_zone_its_caption_and_half_a_millimetre_a_module() -> None:
    picture = opened(png(CODE))
    side = len(modules(CODE))
    dots = round(picture.info["dpi"][0] / 25.4 * 0.5)
    assert picture.width == (side + 4) * dots
    symbol = picture.crop((2 * dots, 2 * dots, picture.width - 2 * dots, (2 + side) * dots))
    assert set(symbol.tobytes()) == {0, 255}
    around = picture.copy()
    around.paste(255, (2 * dots, 2 * dots, picture.width - 2 * dots, (2 + side) * dots))
    left, top, right, bottom = around.convert("L").point(lambda value: 255 - value).getbbox() or (0, 0, 0, 0)
    assert top > (3 + side) * dots  # a module of quiet zone above the caption
    assert bottom < picture.height
    assert (right - left) > side * dots / 2
    assert abs((left + right) / 2 - picture.width / 2) < dots


def test_the_caption_has_its_accent() -> None:
    """After INS no letter is as high as a capital: what ink is there is the accent, and narrow."""
    picture = opened(png(CODE)).convert("L").point(lambda value: 255 - value)
    band = picture.crop((0, picture.width + 1, picture.width, picture.height))
    left, top, right, bottom = band.getbbox() or (0, 0, 0, 0)
    after_ins = left + (right - left) // 4 + 5
    accent = band.crop((after_ins, top, right, top + (bottom - top) // 8)).getbbox()
    assert accent is not None
    assert accent[2] - accent[0] < (right - left) / 10


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_any_kind_of_png_is_read(mode: str) -> None:
    assert payload_in(saved(opened(png(CODE)).convert(mode))) == CODE.encode()


def test_black_on_transparent_is_black_on_white() -> None:
    picture = opened(png(CODE)).convert("L")
    black = Image.new("LA", picture.size, (0, 0))
    black.putalpha(picture.point(lambda value: 255 - value))
    assert payload_in(saved(black)) == CODE.encode()


@pytest.mark.parametrize("angle", [0, 90, 180, 7])
def test_a_photograph_of_a_page_is_read(angle: int) -> None:
    page = on_page(opened(png(CODE))).rotate(angle, expand=True, fillcolor=255)
    page = page.resize((page.width // 2, page.height // 2)).filter(ImageFilter.GaussianBlur(1))
    assert payload_in(saved(page, "JPEG")) == CODE.encode()


def test_the_same_label_twice_is_one() -> None:
    label = opened(png(CODE))
    assert payload_in(saved(on_page(label, label))) == CODE.encode()


def test_another_symbol_beside_it_is_no_matter() -> None:
    assert payload_in(saved(on_page(opened(png("DC04FR0000")), opened(png(CODE))))) == CODE.encode()


def test_two_persons_are_one_too_many() -> None:
    two = on_page(opened(png(CODE)), opened(png(code_of("ADRUN"))))
    assert "several" in refused(saved(two))


def test_what_cannot_be_read_is_told_with_what_to_do() -> None:
    assert "no INS" in refused(saved(on_page(opened(png("DC04FR0000")))))
    assert "No Data Matrix" in refused(saved(on_page()))
    assert "No Data Matrix" in refused(saved(opened(png(CODE)).crop((0, 0, 240, 480))))


def png_header(width: int, height: int) -> bytes:
    """A PNG that says it is this large, and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + content


@pytest.mark.parametrize("size", [(5000, 5000), (10_000, 10_000), (30_000, 30_000), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_is_refused_by_the_size_it_states(size: tuple[int, int]) -> None:
    assert size[0] * size[1] > MOST_PIXELS
    assert str(MOST_PIXELS) in refused(png_header(*size))


def test_too_many_bytes_are_refused() -> None:
    assert str(MOST_BYTES) in refused(bytes(MOST_BYTES + 1))


@pytest.mark.parametrize(
    "data",
    [b"", b"%PDF-1.7", svg(CODE), b"\x89PNG\r\n\x1a\n", png(CODE)[:-100], png_header(100, 100),
     png(CODE).replace(b"IDAT", b"JUNK"), saved(opened(png(CODE)), "GIF"), saved(opened(png(CODE)), "BMP")],
    ids=["nothing", "PDF", "SVG", "signature", "cut", "empty", "junk", "GIF", "BMP"],
)  # fmt: skip
def test_what_is_no_whole_png_or_jpeg_is_refused(data: bytes) -> None:
    assert "PNG or JPEG" in refused(data)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 4000))
def test_a_damaged_picture_never_raises(noise: bytes, at: int) -> None:
    whole = png(CODE)
    assert isinstance(payload_in(whole[:at] + noise + whole[at + len(noise) :]), (bytes, Malformed))


@pytest.mark.skipif(not VECTORS.exists(), reason="the published vectors are not at hand")
def test_the_published_vectors_are_read_back_from_their_pictures() -> None:
    for vector in json.loads(VECTORS.read_text())["vectors"]:
        assert payload_in(png(vector["payload"])) == vector["payload"].encode("ascii")
