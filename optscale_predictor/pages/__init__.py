"""What pages and cards share: charts as geometry, templates, Markdown."""
