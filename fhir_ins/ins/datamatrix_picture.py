"""The INS datamatrix as a picture to print: a square symbol of ISO/IEC 16022 ECC 200 with its caption.

Source: ANS, « Format datamatrix INS » v2.2.20230926, §4 (quiet zone of one module at least, « INS à scanner »).
The encoder chooses the shortest encoding of the payload, not C40 for the header; what a reader gets is the same.
"""

from io import BytesIO

from PIL import Image, ImageDraw, ImageFont

CAPTION = "INS à scanner"

_QUIET = 2  # modules
_MODULE_MM = 0.5
_DOTS = 12  # a module, in the PNG
_DPI = _DOTS / _MODULE_MM * 25.4
_CAPTION_BAND = 5  # modules below the quiet zone
_CAPTION_BASELINE = 3  # modules below the quiet zone
_CAPTION_SIZE = 4.4  # modules
_BLACK, _WHITE = 0, 255

Modules = tuple[tuple[bool, ...], ...]


def modules(payload: str) -> Modules:
    """The symbol, row by row, True where dark. `payload` is what `datamatrix.payload` writes."""
    import zxingcpp  # here, because a process that has loaded it ends with a page of complaints

    code = zxingcpp.create_barcode(payload, zxingcpp.BarcodeFormat.DataMatrix, force_square=True)
    drawn = code.to_image(scale=1, add_quiet_zones=False)
    side, dots = drawn.shape[0], bytes(memoryview(drawn).cast("B"))  # type: ignore[arg-type] # a buffer, not so typed
    return tuple(tuple(dot == _BLACK for dot in dots[start : start + side]) for start in range(0, side * side, side))


def png(payload: str) -> bytes:
    """The picture for print and screen: 12 dots a module of half a millimetre, black on white."""
    symbol = modules(payload)
    side = len(symbol) + 2 * _QUIET
    picture = Image.new("L", (side * _DOTS, (side + _CAPTION_BAND) * _DOTS), _WHITE)
    dots = Image.new("L", (len(symbol), len(symbol)))
    dots.putdata([_BLACK if dark else _WHITE for row in symbol for dark in row])
    picture.paste(dots.resize((len(symbol) * _DOTS,) * 2, Image.Resampling.NEAREST), (_QUIET * _DOTS,) * 2)
    _write_caption(ImageDraw.Draw(picture), side * _DOTS / 2, (side + _CAPTION_BASELINE) * _DOTS)
    written = BytesIO()
    picture.save(written, "PNG", dpi=(_DPI, _DPI))
    return written.getvalue()


def svg(payload: str) -> bytes:
    """The picture as vectors, in millimetres, to be printed at any size."""
    symbol = modules(payload)
    side = len(symbol) + 2 * _QUIET
    height = side + _CAPTION_BAND
    path = "".join(_runs(row, number + _QUIET) for number, row in enumerate(symbol))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{side * _MODULE_MM:g}mm" height="{height * _MODULE_MM:g}mm" '
        f'viewBox="0 0 {side} {height}" role="img"><title>{CAPTION}</title>'
        f'<path fill="#fff" d="M0 0h{side}v{height}h-{side}z"/>'
        f'<path fill="#000" shape-rendering="crispEdges" d="{path}"/>'
        f'<text x="{side / 2:g}" y="{side + _CAPTION_BASELINE}" text-anchor="middle" fill="#000" '
        f'font-size="{_CAPTION_SIZE:g}" font-family="Arial, Helvetica, sans-serif">{CAPTION}</text></svg>'
    ).encode()


def _write_caption(draw: ImageDraw.ImageDraw, middle: float, baseline: float) -> None:
    """The caption around `middle`. Pillow's own font has no à: the accent is set above the a."""
    font = ImageFont.load_default(_CAPTION_SIZE * _DOTS)
    before, _, after = CAPTION.partition("à")
    plain = f"{before}a{after}"
    draw.text((middle, baseline), plain, fill=_BLACK, font=font, anchor="ms")
    centre = middle - font.getlength(plain) / 2 + font.getlength(before) + font.getlength("a") / 2
    draw.text((centre, baseline), "`", fill=_BLACK, font=font, anchor="ms")


def _runs(row: tuple[bool, ...], y: int) -> str:
    """The dark runs of a row as rectangles of one path."""
    found, start = "", 0
    while start < len(row):
        end = next((at for at in range(start, len(row)) if row[at] != row[start]), len(row))
        if row[start]:
            found += f"M{start + _QUIET} {y}h{end - start}v1h-{end - start}z"
        start = end
    return found
