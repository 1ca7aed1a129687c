"""The box in the classroom: catalogue, search, pages, API, discovery, the `box serve` service."""
