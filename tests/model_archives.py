"""Archives of models, as tests make them."""

import io
import tarfile


def archive(path, *members):
    """members: (name, content) or a TarInfo."""
    with tarfile.open(path, "w:gz") as packed:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                packed.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size, info.mode = len(member[1]), 0o700 if member[0].endswith(".sh") else 0o400
                packed.addfile(info, io.BytesIO(member[1]))
    return path
