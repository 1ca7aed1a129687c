"""Office files as PDF, by LibreOffice where it is installed: a classroom has no program for them.

They come from many hands. So LibreOffice runs with no network, no macros, no links that are followed, a
profile of its own that is gone afterwards, and bounds on time and memory.
"""

from __future__ import annotations

from pathlib import Path
from zipfile import BadZipFile, ZipFile

from sync import programs
from sync.durable import disk_errors
from sync.errors import Broken
from sync.logs import log

#: Suffix → how such a file begins. The older ones are often of another kind than their suffix says.
_ZIP, _OLE, _RTF = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"{\\rtf"
BEGINNINGS: dict[str, tuple[bytes, ...]] = {
    **dict.fromkeys(("docx", "pptx", "ppsx", "xlsx", "odt", "odp", "ods"), (_ZIP,)),
    **dict.fromkeys(("doc", "ppt", "xls", "wps", "dps", "et"), (_OLE, _ZIP, _RTF)), "rtf": (_RTF,)}
#: Which program turns them into PDF, and whether it is here is asked of this name.
PROGRAM = "soffice"
#: Longest that one file may take, in seconds: a book of 500 pages with pictures takes half a minute.
SECONDS_A_FILE = 180
#: Memory it may use, in bytes (of addresses: it maps some 2 GB before it opens anything).
MEMORY_BYTES = 6 * 1024**3
#: Largest file that is tried, and largest PDF that is taken, in bytes.
MOST_SOURCE_BYTES = 512 * 1024 * 1024
MOST_PDF_BYTES = 1024**3
#: What it ends with when it has made its profile and wants to be started again.
_ONCE_MORE = 81

_PROFILE = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
{}
</oor:items>
"""
_ITEM = ('<item oor:path="/org.openoffice.Office.{}"><prop oor:name="{}" oor:op="fuse">'
         "<value>{}</value></prop></item>")
#: No macros (3: very high), no links to other files or hosts, nothing brought up to date (2: never).
_SETTINGS = (("Common/Security/Scripting", "MacroSecurityLevel", "3"),
             ("Common/Security/Scripting", "DisableMacrosExecution", "true"),
             ("Common/Security/Scripting", "BlockUntrustedRefererLinks", "true"),
             ("Writer/Content/Update", "Link", "2"), ("Calc/Content/Update", "Link", "2"))


class NoPdf(Exception):
    """This file cannot be turned into PDF; the message says why. `again`: another time it may go well."""

    def __init__(self, reason: str, *, again: bool = False) -> None:
        super().__init__(reason)
        self.again = again


def to_pdf(source: Path, suffix: str, folder: Path) -> Path:
    """Turn an office file into a PDF in `folder`, which the caller removes; the PDF.

    Raises NoPdf; Broken `program-missing`; NoRoom, Broken as `disk_errors`.
    """
    _hold(source, suffix)
    program = Path(programs.require(PROGRAM)).resolve().with_name("soffice.bin")
    profile, made = folder / "profile", folder / "made"
    named = folder / f"file.{suffix}"
    with disk_errors(folder):
        (profile / "user").mkdir(parents=True)
        (profile / "user" / "registrymodifications.xcu").write_text(
            _PROFILE.format("\n".join(_ITEM.format(*setting) for setting in _SETTINGS)), "utf-8")
        named.symlink_to(source)
    arguments = ("--headless", "--norestore", "--nologo", "--nodefault", "--nolockcheck",
                 f"-env:UserInstallation=file://{profile}", "--convert-to", "pdf", "--outdir", str(made),
                 str(named))
    home = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "TMPDIR": str(folder), "LC_ALL": "C.UTF-8"}
    try:
        for _ in range(2):
            done = programs.run(str(program), *arguments, timeout_s=SECONDS_A_FILE, ok=None, env=home,
                                memory_bytes=MEMORY_BYTES, network=False)
            if done.status != _ONCE_MORE:
                break
    except Broken as error:
        if error.code != "program-timeout":
            raise
        raise NoPdf(f"takes LibreOffice more than {SECONDS_A_FILE} s", again=True) from error
    pdf = made / "file.pdf"
    if not pdf.is_file():
        said = (done.stderr or done.stdout)[-300:].strip()
        log("hub.office").warning("no-pdf", status=done.status, said=said)
        raise NoPdf("is damaged or of an unknown kind", again=done.status != 0)
    if pdf.stat().st_size > MOST_PDF_BYTES:
        raise NoPdf("makes a PDF that is too large")
    return pdf


def _hold(source: Path, suffix: str) -> None:
    """LibreOffice makes a PDF of anything, also of noise: so what is no office file is refused before."""
    size = source.stat().st_size
    if size > MOST_SOURCE_BYTES:
        raise NoPdf("is too large")
    with source.open("rb") as file:
        beginning = file.read(8)
    if not beginning.startswith(BEGINNINGS[suffix]):
        raise NoPdf("is no office file" if size else "is empty")
    if beginning.startswith(_ZIP):
        try:
            with ZipFile(source) as archive:
                names = set(archive.namelist())
        except (BadZipFile, ValueError, NotImplementedError, OSError) as error:
            raise NoPdf("is no whole office file") from error
        if not names & {"[Content_Types].xml", "mimetype"}:
            raise NoPdf("is no office file")
