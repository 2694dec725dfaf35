"""The folder that travels from the laptop to the device: its files, their hashes, and its packed form."""
