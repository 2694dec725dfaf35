"""The benchmark in a browser: this machine serves page and pictures and counts the drift, the phone runs the models."""
