"""The reports: sections with a sentence computed from the numbers and their figures, as Markdown and as HTML."""
