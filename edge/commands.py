"""`teachpoint box serve`: the classroom service."""
