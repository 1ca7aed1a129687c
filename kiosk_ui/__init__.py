"""What people see: templates, static files, translations.

It is given plain data and imports nothing of ours. `i18n` chooses and loads a language, `pages`
renders a template in it, `extract` brings the message catalogues up to date.
"""
