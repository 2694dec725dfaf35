"""The app's code for a bundle: Kotlin, Swift and Python that show a model the pixels of its recipe."""
