"""The results section of the study: one page in Markdown, and the same in HTML with its pictures inside."""
