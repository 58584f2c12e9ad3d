"""From a template and plain data to the text of a message."""
