"""Benchmarks: the product beside the best that can be had, in the same run on the same machine.

`python -m bench [NAME…]` runs them and rewrites their sections of RESULTS.md. A ratio of two rounds of one
run says something on any machine; a figure alone says something about this one.
"""
