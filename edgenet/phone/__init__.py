"""A browser as one more device: the phone runs the models; this machine serves them and computes drift."""
