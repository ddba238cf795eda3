"""From proven fp32 files to every other precision and form."""
