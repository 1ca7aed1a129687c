"""What people see: templates, static files, translations.

It is given plain data and imports nothing of ours.
"""
