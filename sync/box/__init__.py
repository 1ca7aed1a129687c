"""The box's end of a sync: what it holds (`shelf`), its journal and outbox, one session, the loop."""
