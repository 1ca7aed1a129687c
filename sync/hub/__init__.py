"""The hub's end: publishing, assigning, feeds, sites, sshd, ingest."""
