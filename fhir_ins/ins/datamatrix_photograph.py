"""The payload out of a photograph or a scan that shows an INS datamatrix: PNG or JPEG, of bounded size.

Source: ISO/IEC 16022; ANS, « Format datamatrix INS » v2.2.20230926.
"""

from io import BytesIO

from PIL import Image

from fhir_ins.ins.malformed import Malformed

MOST_BYTES = 8_000_000
MOST_PIXELS = 12_500_000  # an A4 page at 300 dpi, a telephone's photograph; some 120 MB at worst while it is opened

_MARKER = b"IS"
_TOO_LARGE = Malformed(f"The picture has more than {MOST_PIXELS} pixels: crop it, or scan at 300 dpi.")


def payload_in(photograph: bytes) -> bytes | Malformed:
    """The payload of the one INS datamatrix to be seen; other symbols may stand beside it. Never an exception."""
    if len(photograph) > MOST_BYTES:
        return Malformed(f"The picture is larger than {MOST_BYTES} bytes: send less of the page around the datamatrix.")
    picture = _opened(photograph)
    if isinstance(picture, Malformed):
        return picture
    import zxingcpp  # here, because a process that has loaded it ends with a page of complaints

    formats = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.DataMatrix)
    found = {code.bytes for code in zxingcpp.read_barcodes(picture, formats=formats)}
    payloads = [payload for payload in found if payload.startswith(_MARKER)]
    if len(payloads) > 1:
        return Malformed("The picture shows several INS datamatrices: send one of a single label.")
    if payloads:
        return payloads[0]
    if found:
        return Malformed("The picture shows another Data Matrix, no INS: send the one marked « INS à scanner ».")
    return Malformed(
        "No Data Matrix can be read in the picture: send it sharp, evenly lit, whole, with a white margin."
    )


def _opened(photograph: bytes) -> Image.Image | Malformed:
    """The picture in shades of grey on white. Its size is judged before a single pixel of it is decoded."""
    try:
        picture = Image.open(BytesIO(photograph), formats=("PNG", "JPEG"))
        return _on_white(picture) if picture.width * picture.height <= MOST_PIXELS else _TOO_LARGE
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return _TOO_LARGE
    except Exception:  # Pillow raises whatever its decoders met: OSError, SyntaxError, ValueError, struct.error…
        return Malformed("The picture is no PNG or JPEG that can be opened: send it again as one of these.")


def _on_white(picture: Image.Image) -> Image.Image:
    if not picture.has_transparency_data:
        return picture.convert("L")
    layered = picture.convert("LA")
    paper = Image.new("L", picture.size, 255)
    paper.paste(layered.getchannel("L"), mask=layered.getchannel("A"))
    return paper
