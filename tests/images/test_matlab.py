"""containers/matlab, with a stand-in for MATLAB: its installer is a shell script, and the compiled program is one of Octave."""

import functools
import http.server
import re
import shutil
import threading

import pytest
import simferry as sf
from docker_fixtures import with_authorities
from simferry.containers.engine import ImageError
from simferry.images import recipes as images
from simferry.images.infer import recipes

# it takes the options of MathWorks' installers
INSTALLER = r"""#!/bin/sh
set -eu
[ "$1 $2 $3 $4 $5" = "-mode silent -agreeToLicense yes -destinationFolder" ]
mkdir -p "$6/v95/runtime/glnxa64" "$6/application"
cat > "$6/application/fit" <<'END'
#!/usr/bin/env -S octave-cli --no-init-file
given = jsondecode(fileread('/opt/ml/input/config/hyperparameters.json'));
out = '/opt/ml/output';
switch given.fails
  case 'code', error('no licence');
  case 'folder', mkdir([out '/failure']); f = fopen([out '/failure/why'], 'w'); fprintf(f, 'no convergence'); fclose(f);
  case 'txt', f = fopen([out '/failure.txt'], 'w'); fprintf(f, 'no convergence'); fclose(f); output = 1;
  case 'printed', fprintf(stderr, "Error using fit (line 3)\nno convergence\n");
end
cache = getenv('MCR_CACHE_ROOT');
f = fopen([out '/data/result.csv'], 'w');
fprintf(f, 'double,has_cache,first\n%d,%d,%s\n', 2 * str2double(given.gain), isfolder(cache), strtok(getenv('LD_LIBRARY_PATH'), ':'));
fclose(f);
END
"""


@pytest.fixture
def served(tmp_path):
    """The address of a folder with the installer in it."""
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "fit_mcr.install").write_text(INSTALLER)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path / "served")
    handler.log_message = lambda *args: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_compiled_program_runs_and_each_way_to_fail_is_the_contracts(scrap, image_octave, served, tmp_path):
    folder = with_authorities(shutil.copytree(recipes() / "matlab", tmp_path / "matlab"))
    text = (folder / "Dockerfile").read_text()
    (folder / "Dockerfile").write_text(re.sub("(FROM .* AS system)", rf"\1\nLABEL simferry.test={scrap.name}", text))
    given = {"BASE": image_octave, "INSTALLER": f"{served}/fit_mcr.install"}

    def build(program):
        return images.build(images.recipe(folder, scrap.name, given | {"PROGRAM": program}))

    with pytest.raises(
        ImageError, match=r"the executable fitt has to be beside the Dockerfile, .* once: it is not there"
    ):
        build("fitt")
    run = sf.run(
        f"image:{build('fit').tag}", sf.grid(fails=["no", "code", "folder", "txt", "printed"], gain=3), replications=1, seed=1,
        results_file="result.csv", backend="docker", store=tmp_path / "store",
    )  # fmt: skip
    # Octave itself prints an error when it ends
    messages = run.errors()["message"].str.partition("\nerror: ")[0]
    assert list(zip(run.errors()["fails"], messages, strict=True)) == [
        ("code", "fit ended with exit code 1: error: no licence"),
        ("folder", "no convergence"),
        ("txt", "no convergence"),
        ("printed", "fit printed an error, and ended with exit code 0: Error using fit (line 3)\nno convergence"),
    ]
    rows = run.results()
    assert rows[["fails", "double", "has_cache", "first"]].values.tolist() == [
        ["no", 6, 1, "/opt/matlab/v95/runtime/glnxa64"]
    ]
