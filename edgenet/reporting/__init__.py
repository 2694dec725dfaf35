"""Records as terminal tables, HTML, Markdown and CSV. Nothing is computed here."""
