"""Everything of an Alembic environment as lines of JSON: revisions, and the SQL of both ways, a statement each."""

import json
import os
import sys

# What revisions and env.py print is none of it.
out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.ddl.impl import DefaultImpl
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


# A dialect whose driver formats its statements writes each percent sign twice, for the driver to take one away.
write = DefaultImpl.static_output


def static_output(self, text):
    twice = str(sqlalchemy.text("%").compile(dialect=self.dialect)) == "%%"
    write(self, text.replace("%%", "%") if twice else text)


DefaultImpl.static_output = static_output

ini = sys.argv[1]
scripts = ScriptDirectory.from_config(Config(ini))
for revision in scripts.walk_revisions():
    needed = [scripts.get_revision(name).revision for name in listed(revision.dependencies)]
    say(revision=revision.revision, parents=listed(revision.down_revision) + needed, doc=revision.doc or "")
try:
    command.upgrade(Config(ini, output_buffer=Records("up")), "heads", sql=True)
except BaseException as error:
    say(failed="up", why=f"{type(error).__name__}: {error}")
    out.flush()
    sys.exit(0)
try:
    command.downgrade(Config(ini, output_buffer=Records("down")), "heads:base", sql=True)
except BaseException as error:
    say(failed="down", why=f"{type(error).__name__}: {error}")
say(end=True)
out.flush()
