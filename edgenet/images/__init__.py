"""From image files to the pixels that every model sees, and what is known of them: labels, splits."""
