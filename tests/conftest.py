"""The fixtures that every test finds by name; the modules beside this one hold them, and are imported by their names."""

import signal

from aws_fixtures import account, moto_server  # noqa: F401
from docker_fixtures import engine, image_python, image_r, registry, scrap  # noqa: F401
from emulator_fixtures import emulate, emulator, gate, jobs, machine, place, s3  # noqa: F401
from hand_made import hand_made  # noqa: F401
from r_fixtures import in_r, library  # noqa: F401
from sagemaker_fixtures import r_script, sent, session  # noqa: F401

if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # begun in a shell's background; what tests start would ignore Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
