"""Everything of an Alembic environment as lines of JSON: revisions, and the SQL of both ways, a statement each."""

import json
import os
import sys

# What revisions and env.py print is none of it.
out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory


def say(**what):
    out.write(json.dumps(what) + "\n")


def listed(names):
    return [] if names is None else [names] if isinstance(names, str) else list(names)


class Records:
    def __init__(self, way):
        self.way = way

    def write(self, text):
        say(**{self.way: text})

    def flush(self):
        pass


ini = sys.argv[1]
scripts = ScriptDirectory.from_config(Config(ini))
for revision in scripts.walk_revisions():
    needed = [scripts.get_revision(name).revision for name in listed(revision.dependencies)]
    say(revision=revision.revision, parents=listed(revision.down_revision) + needed, doc=revision.doc or "")
try:
    command.upgrade(Config(ini, output_buffer=Records("up")), "heads", sql=True)
except Exception as error:
    say(failed="up", why=f"{type(error).__name__}: {error}")
    out.flush()
    sys.exit(0)
try:
    command.downgrade(Config(ini, output_buffer=Records("down")), "heads:base", sql=True)
except Exception as error:
    say(failed="down", why=f"{type(error).__name__}: {error}")
out.flush()
