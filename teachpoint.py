"""The command line. It only assembles the rooms' commands and turns errors into words and exit statuses."""
