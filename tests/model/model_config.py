"""Changes the configuration in a model file."""

import zipfile
from pathlib import Path

import h5py


def edit_config(path: Path, change) -> None:
    """Change the configuration in a file: `change` gets and returns its text."""
    if h5py.is_hdf5(path):
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = change(file.attrs["model_config"]).encode()
        return
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["config.json"] = change(members["config.json"].decode()).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
