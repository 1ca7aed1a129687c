"""The demo: a hub and a box on this machine, with real lessons, driven as their users drive them.

`python -m hardware.demo` runs the installed `teachpoint` command and asks the box over HTTP; it imports
nothing of the product, so that what it shows is what a user gets.
"""
