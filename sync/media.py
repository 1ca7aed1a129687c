"""Media types and resource types by suffix: our own table, alike on every machine. No I/O.

The system's table (/etc/mime.types) differs from machine to machine; a manifest must not.
"""

from __future__ import annotations

#: Suffix → (media type, resource type of docs/format.md §3).
_TABLE: dict[str, tuple[str, str]] = {
    # video
    "mp4": ("video/mp4", "video"), "m4v": ("video/mp4", "video"),
    "webm": ("video/webm", "video"), "mkv": ("video/x-matroska", "video"),
    "mov": ("video/quicktime", "video"), "avi": ("video/x-msvideo", "video"),
    "mpg": ("video/mpeg", "video"), "mpeg": ("video/mpeg", "video"),
    "ogv": ("video/ogg", "video"), "flv": ("video/x-flv", "video"),
    "wmv": ("video/x-ms-wmv", "video"), "3gp": ("video/3gpp", "video"),
    "rmvb": ("application/vnd.rn-realmedia-vbr", "video"),
    # audio
    "mp3": ("audio/mpeg", "audio"), "m4a": ("audio/mp4", "audio"), "aac": ("audio/aac", "audio"),
    "ogg": ("audio/ogg", "audio"), "oga": ("audio/ogg", "audio"), "opus": ("audio/ogg", "audio"),
    "wav": ("audio/wav", "audio"), "flac": ("audio/flac", "audio"), "amr": ("audio/amr", "audio"),
    "wma": ("audio/x-ms-wma", "audio"), "mid": ("audio/midi", "audio"),
    # pictures
    "jpg": ("image/jpeg", "picture"), "jpeg": ("image/jpeg", "picture"),
    "png": ("image/png", "picture"), "gif": ("image/gif", "picture"),
    "webp": ("image/webp", "picture"), "avif": ("image/avif", "picture"),
    "bmp": ("image/bmp", "picture"), "tif": ("image/tiff", "picture"),
    "tiff": ("image/tiff", "picture"), "svg": ("image/svg+xml", "picture"),
    "ico": ("image/vnd.microsoft.icon", "picture"), "heic": ("image/heic", "picture"),
    # documents
    "pdf": ("application/pdf", "document"),
    "doc": ("application/msword", "document"), "xls": ("application/vnd.ms-excel", "document"),
    "ppt": ("application/vnd.ms-powerpoint", "document"),
    "docx": ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "document"),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "document"),
    "pptx": ("application/vnd.openxmlformats-officedocument.presentationml.presentation", "document"),
    "ppsx": ("application/vnd.openxmlformats-officedocument.presentationml.slideshow", "document"),
    "odt": ("application/vnd.oasis.opendocument.text", "document"),
    "odp": ("application/vnd.oasis.opendocument.presentation", "document"),
    "ods": ("application/vnd.oasis.opendocument.spreadsheet", "document"),
    "rtf": ("application/rtf", "document"), "wps": ("application/vnd.ms-works", "document"),
    "dps": ("application/x-wps-presentation", "document"),
    "et": ("application/x-wps-spreadsheet", "document"),
    "djvu": ("image/vnd.djvu", "document"),
    # books
    "epub": ("application/epub+zip", "book"), "mobi": ("application/x-mobipocket-ebook", "book"),
    "azw3": ("application/vnd.amazon.mobi8-ebook", "book"), "cbz": ("application/vnd.comicbook+zip", "book"),
    # pages
    "html": ("text/html", "page"), "htm": ("text/html", "page"),
    "xhtml": ("application/xhtml+xml", "page"), "mhtml": ("multipart/related", "file"),
    # text
    "txt": ("text/plain", "text"), "md": ("text/markdown", "text"),
    "markdown": ("text/markdown", "text"), "srt": ("application/x-subrip", "text"),
    "vtt": ("text/vtt", "text"), "lrc": ("text/plain", "text"), "csv": ("text/csv", "text"),
    # what bundles are made of, and archives
    "js": ("text/javascript", "file"), "mjs": ("text/javascript", "file"),
    "css": ("text/css", "file"), "json": ("application/json", "file"),
    "map": ("application/json", "file"), "webmanifest": ("application/manifest+json", "file"),
    "wasm": ("application/wasm", "file"), "xml": ("application/xml", "file"),
    "xsd": ("application/xml", "file"), "dtd": ("application/xml-dtd", "file"),
    "woff": ("font/woff", "file"), "woff2": ("font/woff2", "file"), "ttf": ("font/ttf", "file"),
    "otf": ("font/otf", "file"), "eot": ("application/vnd.ms-fontobject", "file"),
    "m3u8": ("application/vnd.apple.mpegurl", "file"), "mpd": ("application/dash+xml", "file"),
    "m4s": ("video/iso.segment", "file"), "ts": ("video/mp2t", "file"),
    "swf": ("application/x-shockwave-flash", "file"),
    "h5p": ("application/vnd.h5p", "file"), "zip": ("application/zip", "file"),
    "7z": ("application/x-7z-compressed", "file"), "rar": ("application/vnd.rar", "file"),
    "gz": ("application/gzip", "file"), "tar": ("application/x-tar", "file"),
    "ggb": ("application/vnd.geogebra.file", "file"), "sb3": ("application/x.scratch.sb3", "file"),
    "apk": ("application/vnd.android.package-archive", "file"),
}

#: What a file is called that no suffix explains.
UNKNOWN = "application/octet-stream"


def suffix(name: str) -> str:
    """The last suffix of a file name or path, lower case, without its dot; "" if there is none."""
    stem, dot, last = name.rsplit("/", 1)[-1].rpartition(".")
    return last.lower() if dot and stem else ""


def media_type(name: str) -> str:
    """The media type of a file by its name's suffix, for instance `video/mp4`; never a charset."""
    return _TABLE.get(suffix(name), (UNKNOWN, "file"))[0]


def resource_type(name: str) -> str:
    """The type of resource a single file makes: `video`, `audio`, `picture`, …, else `file`."""
    return _TABLE.get(suffix(name), (UNKNOWN, "file"))[1]
