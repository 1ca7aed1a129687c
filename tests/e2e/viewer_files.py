"""Files that the viewers are tried with: documents of several pages, broken and locked ones."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence

import pypdf
from PIL import Image

PORTRAIT = (595, 842)
LANDSCAPE = (960, 540)


def pdf(pages: Sequence[str], size: tuple[int, int] = PORTRAIT) -> bytes:
    """A PDF with a line of Chinese on each page, in a font that is not inside: it needs a character map."""
    font = ("<< /Type /Font /Subtype /Type0 /BaseFont /SimSun /Encoding /UniGB-UCS2-H /DescendantFonts ["
            "<< /Type /Font /Subtype /CIDFontType0 /BaseFont /SimSun /CIDSystemInfo << /Registry (Adobe) "
            "/Ordering (GB1) /Supplement 4 >> /FontDescriptor << /Type /FontDescriptor /FontName /SimSun "
            "/Flags 4 /FontBBox [-8 -145 1000 859] /ItalicAngle 0 /Ascent 859 /Descent -140 /CapHeight 683 "
            "/StemV 95 >> >>] >>")
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(len(pages)))
    objects = ["<< /Type /Catalog /Pages 2 0 R >>",
               f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>", font]
    for number, text in enumerate(pages):
        stream = f"BT /F 40 Tf 60 {size[1] - 120} Td <{text.encode('utf-16-be').hex()}> Tj ET"
        objects += [f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {size[0]} {size[1]}] "
                    f"/Contents {5 + 2 * number} 0 R /Resources << /Font << /F 3 0 R >> >> >>",
                    f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream"]
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    return out + (f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}trailer\n"
                  f"<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n").encode()


def locked_pdf() -> bytes:
    """A PDF that asks for a password."""
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf(["秘密"])))
    writer.encrypt("geheim", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def heavy_pdf(pages: int) -> bytes:
    """A scanned book: about 160 KB a page that no compression makes smaller."""
    scans = [Image.frombytes("RGB", (420, 320), os.urandom(420 * 320 * 3)) for _ in range(pages)]
    out = io.BytesIO()
    scans[0].save(out, "PDF", save_all=True, append_images=scans[1:], quality=95)
    return out.getvalue()
