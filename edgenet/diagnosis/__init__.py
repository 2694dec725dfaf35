"""Which layers an int8 file loses accuracy in, and what more bits there would bring."""
