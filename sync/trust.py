"""Which feed is believed. No I/O. (docs/format.md §4)"""

from __future__ import annotations

#: Field of every role's signed part: the site this feed is for.
SITE_FIELD = "site"
#: Field of the timestamp's signed part: the hub's clock when it was signed, whole seconds.
TIME_FIELD = "time"
#: Largest hub time, in seconds (the year 2242): keeps every date within what TUF can write down.
MOST_TIME = 2**33
