"""What jobs do: each module has a function `run(request, inputs, files)`, called in a process of its own.

request: JSON, as the module describes it. inputs: the files and folders that it reads, by name. files: an empty folder
for the files that it makes; None for a kind that makes none. Returns JSON.
"""
